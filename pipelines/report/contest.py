"""Where experts disagree: how often each pair does, and on which items most."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.schema import File, Storage
from capitoline.pipelines.report.part import NO_BALLOT, Part
from capitoline.pipelines.report.summary import Agreement, Ballot, Contested

KEPT = 24
"""Most contested items that a summary keeps whole."""


class Pairs:
    """For each pair of experts, their ballots on the items that both rated."""

    def __init__(self, labels: int) -> None:
        self._labels = labels
        self._counts: dict[tuple[str, str], npt.NDArray[np.int64]] = {}

    def add(self, part: Part) -> None:
        if part.severities.max(initial=NO_BALLOT) >= self._labels:
            raise ValueError(f"a ballot is above the scale of {self._labels} labels; is run.json of another job?")
        columns = sorted(zip(part.experts, part.severities.T.astype(np.int64), strict=True), key=lambda entry: entry[0])
        for (first, a), (second, b) in combinations(columns, 2):
            both = (a != NO_BALLOT) & (b != NO_BALLOT)
            counts = np.bincount(a[both] * self._labels + b[both], minlength=self._labels**2)
            self._counts[first, second] = self._counts.get((first, second), 0) + counts

    def agreement(self) -> tuple[Agreement, ...]:
        """Of every pair that rated some item together, by the experts' names."""
        return tuple(
            _agreement(*pair, counts.reshape(self._labels, self._labels))
            for pair, counts in sorted(self._counts.items(), key=lambda entry: entry[0])
            if counts.any()
        )


class Contest:
    """The `KEPT` items with the largest spread of ballots, then draws, failures and reviews."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, Contested]] = []

    def add(self, part: Part) -> None:
        spread = spreads(part.severities)
        ranks = _ranks(part, spread)
        # Only a higher rank displaces, so that of equals the earlier item stays.
        least = self._kept[-1][0] if len(self._kept) == KEPT else 0
        best = np.argsort(-ranks, kind="stable")[:KEPT]
        found = [(int(ranks[row]), _contested(part, int(row), int(spread[row]))) for row in best if ranks[row] > least]
        self._kept = sorted(self._kept + found, key=lambda entry: -entry[0])[:KEPT]

    def items(self) -> tuple[Contested, ...]:
        return tuple(contested for _, contested in self._kept)


def spreads(severities: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """(items,) levels between the mildest and the most severe ballot of (items, experts); 0 without ballots."""
    wide = severities.astype(np.int64)
    highest = wide.max(axis=1, initial=NO_BALLOT)
    lowest = np.where(wide == NO_BALLOT, np.iinfo(np.int64).max, wide).min(axis=1, initial=np.iinfo(np.int64).max)
    return np.where(highest == NO_BALLOT, 0, highest - lowest)


def _ranks(part: Part, spread: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(items,) how contested: the spread decides, then a draw, a failure, a reason for review; 0 is not at all."""
    drew = np.array([bool(tied) for tied in part.ratings["tied"].to_pylist()], dtype=np.int64)
    failed = np.array(part.ratings["failed"].to_pylist(), dtype=np.int64)
    review = np.array([bool(reasons) for reasons in part.ratings["review"].to_pylist()], dtype=np.int64)
    return 8 * spread + 4 * drew + 2 * failed + review


def _contested(part: Part, row: int, spread: int) -> Contested:
    rating = part.ratings.slice(row, 1).to_pylist()[0]
    evidence = [part.evidence.slice(place, 1).to_pylist()[0] for place in np.flatnonzero(part.rows == row)]
    return Contested(
        item_id=rating["item_id"],
        rating=rating["rating"],
        spread=spread,
        rule=rating["rule"],
        tied=tuple(rating["tied"]),
        review=tuple(rating["review"]),
        text=rating["text"] or "",
        files=tuple(_file(file) for file in rating["files"]),
        ballots=tuple(_ballot(one) for one in evidence),
    )


def _ballot(row: dict[str, Any]) -> Ballot:
    return Ballot(row["expert"], row["outcome"], row["reason"], row["severity"], tuple(row["probabilities"]))


def _file(row: dict[str, Any]) -> File:
    return File(row["source"], row["name"], row["size"], Storage(row["storage"]), row["offset"])


def _agreement(first: str, second: str, counts: npt.NDArray[np.int64]) -> Agreement:
    both, position = int(counts.sum()), np.arange(len(counts))
    distance = np.abs(position[:, None] - position[None, :])
    return Agreement(
        first=first,
        second=second,
        both=both,
        equal=int(counts.trace()) / both,
        difference=float((distance * counts).sum()) / both,
        counts=tuple(tuple(int(value) for value in line) for line in counts),
    )
