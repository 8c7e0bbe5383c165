"""Figures of heads with several axes: harm categories that may occur together, severities side by side.

A target of -1 is unknown: the row is left out of that axis, never read as "no".

Legend:  N = items, A = axes, K = levels of an axis (2: absent, present).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.pipelines.evaluation.metrics import Severities, defined, measure

UNKNOWN = -1
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AxisFigures:
    """How predictions on one axis agree with the truth where that is known."""

    axis: str
    count: int
    """Rows whose truth is known."""
    positives: int
    """Of these, rows above the mildest level."""
    average_precision: float
    """Area under the precision-recall curve of "above the mildest level"; NaN without both kinds of rows."""
    f1: float
    """Of "above the mildest level", predicted where its probability reaches `threshold`."""
    threshold: float
    """Chosen on rows held out of training."""
    kappa: float
    """Quadratic weighted kappa of the levels; NaN where there are only two."""

    def as_json(self) -> dict[str, Any]:
        """Every figure by name; null where it is undefined."""
        return {name: defined(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a head with axes says of rows, beside the truth."""

    truth: Severities
    """(N, A), -1 where unknown."""
    probabilities: npt.NDArray[np.float32]
    """(N, A, K)."""
    severities: Severities
    """(N, A) decided levels."""

    @property
    def scores(self) -> Scores:
        """(N, A) probability of being above the mildest level."""
        return 1.0 - self.probabilities[:, :, 0].astype(np.float64)


def measure_axes(reported: Judged, held_out: Judged, names: Sequence[str]) -> tuple[AxisFigures, ...]:
    """Figures of every axis on `reported`, at thresholds chosen on `held_out`."""
    return tuple(_measure_axis(reported, held_out, axis, name) for axis, name in enumerate(names))


def _measure_axis(reported: Judged, held_out: Judged, axis: int, name: str) -> AxisFigures:
    threshold = best_threshold(*_known(held_out, axis))
    present, scores = _known(reported, axis)
    return AxisFigures(
        axis=name,
        count=len(present),
        positives=int(present.sum()),
        average_precision=average_precision(present, scores),
        f1=f1_at(present, scores, threshold),
        threshold=threshold,
        kappa=_kappa(reported, axis),
    )


def _known(judged: Judged, axis: int) -> tuple[npt.NDArray[np.bool_], Scores]:
    """Whether the axis is above its mildest level, and the scores, of rows where that is known."""
    known = judged.truth[:, axis] != UNKNOWN
    return judged.truth[known, axis] > 0, judged.scores[known, axis]


def _kappa(judged: Judged, axis: int) -> float:
    levels, known = judged.probabilities.shape[2], judged.truth[:, axis] != UNKNOWN
    if levels == 2 or not known.any():
        return float("nan")
    return measure(judged.truth[known, axis], judged.severities[known, axis], levels).kappa


def average_precision(present: npt.NDArray[np.bool_], scores: Scores) -> float:
    """Sum over thresholds of precision times the gain in recall; NaN unless both kinds of rows are there."""
    if present.all() or not present.any():
        return float("nan")
    found, called = _curve(present, scores)
    gains = np.diff(found, prepend=0) / present.sum()
    return float((gains * found / called).sum())


def best_threshold(present: npt.NDArray[np.bool_], scores: Scores) -> float:
    """The score at and above which calling rows present gives the best F1; a half where no row is present."""
    if not present.any():
        return 0.5
    found, called = _curve(present, scores)
    best = int((2 * found / (called + present.sum())).argmax())
    return float(_distinct(scores)[best])


def f1_at(present: npt.NDArray[np.bool_], scores: Scores, threshold: float) -> float:
    """F1 of calling rows present whose score reaches `threshold`; NaN where nothing is present or called."""
    called = scores >= threshold
    whole = int(present.sum() + called.sum())
    return 2 * float((present & called).sum()) / whole if whole else float("nan")


def _curve(present: npt.NDArray[np.bool_], scores: Scores) -> tuple[Scores, Scores]:
    """Rows present among those called, and rows called, at each distinct score from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    return present[order].cumsum()[last].astype(np.float64), (last + 1).astype(np.float64)


def _distinct(scores: Scores) -> Scores:
    return np.unique(scores)[::-1]


def mean_of(values: Sequence[float]) -> float:
    """Mean of those that are defined; NaN if none is."""
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")
