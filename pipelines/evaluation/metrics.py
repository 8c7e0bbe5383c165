"""Figures for ordered labels, over true and predicted severities.

"Accuracy of a class" is its recall and is called so. A *down-class* misclassification (DCM)
predicts a milder label than the true one; an *up-class* one a more severe label.

Legend:  N = items, K = labels. Severities are integers 0 … K-1, mildest first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Severities = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """How predictions agree with the truth."""

    count: int
    accuracy: float
    macro_f1: float
    """Mean F1 over the labels that occur in the truth."""
    kappa: float
    """Quadratic weighted kappa; NaN where it is undefined (one label only)."""
    recall: tuple[float, ...]
    """(K,) of each label; NaN where the truth has none."""
    down_rate: float
    """Share of items predicted milder than they are."""
    down_two_rate: float
    """Share predicted two levels milder, or more."""
    up_rate: float
    """Share predicted more severe than they are."""
    calibration_error: float
    """Expected calibration error of the likeliest label's probability; NaN without probabilities."""

    def as_json(self) -> dict[str, Any]:
        """Every figure by name; null where it is undefined, because JSON has no NaN."""
        return {name: _defined(value) for name, value in asdict(self).items()}


def _defined(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_defined(one) for one in value]
    return None if value != value else value


def confusion(truth: Severities, predicted: Severities, labels: int) -> npt.NDArray[np.int64]:
    """(K, K) counts by true (rows) and predicted (columns) severity: below the diagonal is down-class."""
    assert truth.shape == predicted.shape, (truth.shape, predicted.shape)
    return np.bincount(truth * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def quadratic_weighted_kappa(matrix: npt.NDArray[np.int64]) -> float:
    """1 - observed ÷ expected squared disagreement (Cohen 1968, doi:10.1037/h0026256)."""
    position = np.arange(len(matrix))
    distance = (position[:, None] - position[None, :]) ** 2
    expected = np.outer(matrix.sum(1), matrix.sum(0)) / max(matrix.sum(), 1)
    disagreement = float((distance * expected).sum())
    return 1.0 - float((distance * matrix).sum()) / disagreement if disagreement else float("nan")


def macro_f1(matrix: npt.NDArray[np.int64]) -> float:
    """Mean F1 over the labels that occur in the truth.

    A set without a label would otherwise punish one stray prediction of it with an F1 of zero,
    which a model that was only trained on that set's labels cannot make.
    """
    occurs = matrix.sum(1) > 0
    support = (matrix.sum(0) + matrix.sum(1))[occurs]
    return float(np.mean(2.0 * matrix.diagonal()[occurs] / support)) if occurs.any() else float("nan")


def calibration_error(probabilities: npt.NDArray[np.float32], truth: Severities, bins: int = 15) -> float:
    """Expected calibration error of the likeliest label, equal-width bins (arXiv:1706.04599)."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == truth
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = [abs(confidence[bin_of == one].sum() - correct[bin_of == one].sum()) for one in range(bins)]
    return float(np.sum(gaps) / len(truth))


def measure(
    truth: Severities, predicted: Severities, labels: int, probabilities: npt.NDArray[np.float32] | None = None
) -> Figures:
    """All figures for (N,) true and predicted severities and, if there are any, (N, K) probabilities.

    Raises:
        ValueError: no items.
    """
    if not len(truth):
        raise ValueError("no items to measure")
    matrix = confusion(truth, predicted, labels)
    total = matrix.sum(1)
    return Figures(
        count=len(truth),
        accuracy=float(np.mean(truth == predicted)),
        macro_f1=macro_f1(matrix),
        kappa=quadratic_weighted_kappa(matrix),
        recall=tuple(float(matrix[k, k] / total[k]) if total[k] else float("nan") for k in range(labels)),
        down_rate=float(np.mean(predicted < truth)),
        down_two_rate=float(np.mean(predicted <= truth - 2)),
        up_rate=float(np.mean(predicted > truth)),
        calibration_error=float("nan") if probabilities is None else calibration_error(probabilities, truth),
    )
