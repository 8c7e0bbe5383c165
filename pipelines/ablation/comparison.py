"""The one report on `test`: a few candidates fixed on `val`, their figures, and whether they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capitoline.pipelines.ablation.grid import Candidate
from capitoline.pipelines.ablation.outcomes import Outcome
from capitoline.pipelines.ablation.resampling import Interval, Resampled, Values, draw, percentile_interval, resample
from capitoline.pipelines.ablation.significance import holm, holm_levels, mcnemar
from capitoline.pipelines.evaluation.metrics import Figures

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Finalist:
    """A candidate, why it is reported, and what it made of the split from each seed."""

    role: str
    candidate: Candidate
    outcomes: tuple[Outcome, ...]
    served: Outcome
    """Of the seed that would be served."""


@dataclass(frozen=True, slots=True)
class Row:
    """A finalist with its figures; kappa and down-class rate are means over its seeds."""

    finalist: Finalist
    figures: Figures
    """Of the served seed."""
    kappa: float
    kappa_interval: Interval
    down_rate: float
    down_interval: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """One finalist less another, over the same draws."""

    first: int
    second: int
    """Positions of the two finalists."""
    kappa: float
    kappa_interval: Interval
    """At the level at which Holm tests it, so that it leaves out zero exactly if the corrected p is below 5 %."""
    down_rate: float
    down_interval: Interval
    mistakes_p: float
    """McNemar on mistakes of the served seeds, corrected by Holm."""
    down_p: float
    """McNemar on down-class mistakes, likewise."""

    @property
    def better(self) -> bool:
        """Whether the first has the higher kappa, beyond chance."""
        return self.kappa_interval.low > 0


@dataclass(frozen=True, slots=True)
class Report:
    split: str
    count: int
    groups: int
    draws: int
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]

    def between(self, first: int, second: int) -> Comparison | None:
        return next((one for one in self.comparisons if (one.first, one.second) == (first, second)), None)


def report(
    finalists: Sequence[Finalist],
    pairs: Sequence[tuple[int, int]],
    split: str,
    groups: npt.NDArray[np.str_],
    draws: int,
    seed: int,
) -> Report:
    """Figures of every finalist, and of each of the `pairs` the first less the second."""
    resampled = _resampled(finalists, groups, draws, seed)
    rows = [_row(one, resampled, index) for index, one in enumerate(finalists)]
    comparisons = tuple(_compared(rows, pairs, resampled))
    return Report(split, len(groups), len(set(groups.tolist())), draws, tuple(rows), comparisons)


def _resampled(finalists: Sequence[Finalist], groups: npt.NDArray[np.str_], draws: int, seed: int) -> Resampled:
    outcomes = [one for finalist in finalists for one in finalist.outcomes]
    owner = np.repeat(np.arange(len(finalists)), [len(one.outcomes) for one in finalists])
    severities = np.stack([one.severities for one in outcomes])
    counted = np.stack([one.automatic for one in outcomes])
    every = resample(outcomes[0].truth, severities, counted, *draw(groups, draws, seed))
    return every.mean_over([np.flatnonzero(owner == index).tolist() for index in range(len(finalists))])


def _row(finalist: Finalist, resampled: Resampled, index: int) -> Row:
    figures = [one.figures() for one in finalist.outcomes]
    return Row(
        finalist,
        finalist.served.figures(),
        kappa=float(np.mean([one.kappa for one in figures])),
        kappa_interval=percentile_interval(resampled.kappa[:, index], LEVEL),
        down_rate=float(np.mean([one.down_rate for one in figures])),
        down_interval=percentile_interval(resampled.down_rate[:, index], LEVEL),
    )


def _compared(rows: Sequence[Row], pairs: Sequence[tuple[int, int]], resampled: Resampled) -> list[Comparison]:
    kappas = corrected([resampled.kappa[:, a] - resampled.kappa[:, b] for a, b in pairs])
    downs = corrected([resampled.down_rate[:, a] - resampled.down_rate[:, b] for a, b in pairs])
    mistakes = holm([mcnemar(_mistakes(rows[a], False), _mistakes(rows[b], False)) for a, b in pairs])
    down_mistakes = holm([mcnemar(_mistakes(rows[a], True), _mistakes(rows[b], True)) for a, b in pairs])
    return [
        Comparison(
            first=a,
            second=b,
            kappa=rows[a].kappa - rows[b].kappa,
            kappa_interval=kappas[index],
            down_rate=rows[a].down_rate - rows[b].down_rate,
            down_interval=downs[index],
            mistakes_p=mistakes[index],
            down_p=down_mistakes[index],
        )
        for index, (a, b) in enumerate(pairs)
    ]


def corrected(differences: Sequence[Values]) -> list[Interval]:
    """Intervals of resampled differences (B,), at Holm's levels and with his p-values."""
    alone = [percentile_interval(one, LEVEL) for one in differences]
    levels = holm_levels([one.p for one in alone], 1 - LEVEL)
    intervals = [percentile_interval(one, level) for one, level in zip(differences, levels, strict=True)]
    p_values = holm([one.p for one in alone])
    return [replace(one, p=p) for one, p in zip(intervals, p_values, strict=True)]


def _mistakes(row: Row, down: bool) -> npt.NDArray[np.bool_]:
    """(N,) what came out wrong, or down-class, and no person would have caught."""
    served = row.finalist.served
    wrong = served.severities < served.truth if down else served.severities != served.truth
    return wrong & served.automatic
