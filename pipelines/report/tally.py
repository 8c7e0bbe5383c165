"""Counting a job part by part: memory stays that of one part, whatever the number of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from capitoline.modalities.schema import UNRATED, Modality
from capitoline.pipelines.moves import count_moves, pairs_of
from capitoline.pipelines.report.causes import Causes, Reasons
from capitoline.pipelines.report.contest import Contest, Pairs
from capitoline.pipelines.report.part import Part, read_parts
from capitoline.pipelines.report.summary import Summary


def summarize(out: Path, labels: Sequence[str], wall_seconds: float, items_per_second: float) -> Summary:
    """The summary of the committed parts in `out`; speed is that of the run that finished the job.

    Raises:
        ValueError: the tables in `out` do not belong together, or not to this scale.
    """
    tally = Tally(tuple(labels))
    for part in read_parts(out):
        tally.add(part)
    return tally.summary(wall_seconds, items_per_second)


class Counts:
    """What is counted item by item."""

    def __init__(self) -> None:
        self.items = self.failed = self.review = 0
        self.ratings: Counter[str] = Counter()
        self.modalities: Counter[tuple[str, str]] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.seconds: Counter[str] = Counter()
        self.shadow: Counter[tuple[str, str]] = Counter()
        self.reasons = Reasons()

    def add(self, part: Part) -> None:
        ratings, evidence = part.ratings, part.evidence
        self.items += len(ratings)
        self.failed += sum(ratings["failed"].to_pylist())
        self.outcomes.update(zip(evidence["expert"].to_pylist(), evidence["outcome"].to_pylist(), strict=True))
        if "shadow_rating" in ratings.column_names:
            self.shadow += pairs_of(ratings["rating"].to_pylist(), ratings["shadow_rating"].to_pylist())
        for rating, modalities in zip(ratings["rating"].to_pylist(), ratings["modalities"].to_pylist(), strict=True):
            self.ratings[rating] += 1
            self.modalities.update((modality, rating) for modality in modalities)
        for item_id, reasons in zip(ratings["item_id"].to_pylist(), ratings["review"].to_pylist(), strict=True):
            self.review += bool(reasons)
            self.reasons.add(item_id, reasons)
        for node, spent in chain.from_iterable(ratings["seconds"].to_pylist()):
            self.seconds[node] += spent


class Tally:
    """Adds parts up to a `Summary`."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._counts, self._causes = Counts(), Causes()
        self._pairs, self._contest = Pairs(len(labels)), Contest()

    def add(self, part: Part) -> None:
        for tally in (self._counts, self._causes, self._pairs, self._contest):
            tally.add(part)

    def summary(self, wall_seconds: float, items_per_second: float) -> Summary:
        counts = self._counts
        causes, left_out = self._causes.listed()
        return Summary(
            labels=self._labels,
            items=counts.items,
            rated=counts.items - counts.ratings[UNRATED],
            unrated=counts.ratings[UNRATED],
            failed=counts.failed,
            by_rating={label: counts.ratings[label] for label in (*self._labels, UNRATED)},
            by_modality=self._by_modality(),
            outcomes=self._outcomes(),
            review=counts.review,
            review_reasons=counts.reasons.listed(),
            review_examples=counts.reasons.examples(),
            causes=causes,
            causes_left_out=left_out,
            agreement=self._pairs.agreement(),
            contested=self._contest.items(),
            cpu_seconds=dict(counts.seconds.most_common()),
            wall_seconds=wall_seconds,
            items_per_second=items_per_second,
            shadow=count_moves(self._labels, counts.shadow) if counts.shadow else None,
        )

    def _by_modality(self) -> dict[str, dict[str, int]]:
        counted, shown = self._counts.modalities, (*self._labels, UNRATED)
        present = {modality for modality, _ in counted}
        return {one: {label: counted[one, label] for label in shown} for one in Modality if one in present}

    def _outcomes(self) -> dict[str, dict[str, int]]:
        outcomes: dict[str, dict[str, int]] = {}
        for (expert, outcome), count in self._counts.outcomes.items():
            outcomes.setdefault(expert, {})[outcome] = count
        return outcomes
