"""How far figures may lie from what other rows of the same kind would give: the percentile bootstrap.

A resample draws groups (a film's rows, a clip's windows) with replacement. Its confusion matrix
is the sum of the groups' matrices, so groups of equal matrices need not be told apart: one
multinomial draw over the different ones makes all resamples at once.

Legend:  R = resamples, G = groups, P = different matrices of groups, K = labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capitoline.pipelines.evaluation.metrics import Counts, Severities, Values, down_rates, kappas, macro_f1s

RESAMPLES = 1_000
SEED = 7


@dataclass(frozen=True, slots=True)
class Interval:
    """95 % of the resamples lie between these."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Intervals:
    kappa: Interval
    macro_f1: Interval
    down_rate: Interval


def intervals(truth: Severities, predicted: Severities, labels: int, groups: Sequence[str]) -> Intervals:
    """Intervals of (N,) predictions whose rows belong to `groups` (N,)."""
    drawn = resampled(truth, predicted, labels, groups)
    return Intervals(*(_interval(of, drawn) for of in (kappas, macro_f1s, down_rates)))


def resampled(
    truth: Severities, predicted: Severities, labels: int, groups: Sequence[str], resamples: int = RESAMPLES
) -> Counts:
    """(R, K, K) confusion matrices of resampled groups; the same for the same rows."""
    matrices = _by_group(truth * labels + predicted, labels * labels, groups)
    different, occurrences = np.unique(matrices, axis=0, return_counts=True)
    draw = np.random.default_rng(SEED)
    times = draw.multinomial(len(matrices), occurrences / len(matrices), size=resamples)
    # Products of floats are many times faster and exact at these sizes.
    summed = times.astype(np.float64) @ different.astype(np.float64)
    return summed.round().astype(np.int64).reshape(resamples, labels, labels)


def _by_group(cells: npt.NDArray[np.int64], size: int, groups: Sequence[str]) -> Counts:
    """(G, K·K) counts of the cells of the confusion matrix."""
    names, owners = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(owners * size + cells, minlength=len(names) * size).reshape(len(names), size)


def _interval(of: Callable[[Counts], Values], drawn: Counts) -> Interval:
    values = of(drawn)
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(known, (2.5, 97.5))
    return Interval(float(low), float(high))
