"""Figures for ordered labels, over true and predicted severities.

"Accuracy of a class" is its recall and is called so. A *down-class* misclassification (DCM)
predicts a milder label than the true one; an *up-class* one a more severe label.

Everything that counts rows is a function of the confusion matrix, and takes many at once, so
that a bootstrap costs no more than a few products (`intervals.py`).

Legend:  N = items, K = labels. Severities are integers 0 … K-1, mildest first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.pipelines.evaluation.calibration import calibration_error

Severities = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figures:
    """How predictions agree with the truth."""

    count: int
    accuracy: float
    macro_f1: float
    """Mean F1 over the labels that occur in the truth."""
    kappa: float
    """Quadratic weighted kappa; NaN where it is undefined (one label only)."""
    absolute_error: float
    """Mean distance between the true and the predicted label, in levels."""
    recall: tuple[float, ...]
    """(K,) of each label; NaN where the truth has none."""
    precision: tuple[float, ...]
    """(K,) of each label; NaN where it is never predicted."""
    f1: tuple[float, ...]
    """(K,) of each label; NaN where it is neither true nor predicted."""
    matrix: tuple[tuple[int, ...], ...]
    """(K, K) counts by true (rows) and predicted (columns) severity."""
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
        return {name: defined(value) for name, value in asdict(self).items()}


def defined(value: Any) -> Any:
    """`value` with null in the place of NaN, through tuples and dictionaries."""
    if isinstance(value, tuple | list):
        return [defined(one) for one in value]
    if isinstance(value, dict):
        return {name: defined(one) for name, one in value.items()}
    return None if value != value else value


def confusion(truth: Severities, predicted: Severities, labels: int) -> Counts:
    """(K, K) counts by true (rows) and predicted (columns) severity: below the diagonal is down-class."""
    assert truth.shape == predicted.shape, (truth.shape, predicted.shape)
    return np.bincount(truth * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def kappas(matrices: Counts) -> Values:
    """(…, K, K) → (…): 1 - observed ÷ expected squared disagreement (Cohen 1968, doi:10.1037/h0026256)."""
    position = np.arange(matrices.shape[-1])
    distance = (position[:, None] - position[None, :]) ** 2
    totals = np.maximum(_totals(matrices), 1)[..., None, None]
    expected = matrices.sum(-1)[..., :, None] * matrices.sum(-2)[..., None, :] / totals
    disagreement = (distance * expected).sum((-2, -1))
    return 1.0 - _ratio((distance * matrices).sum((-2, -1)), disagreement)


def macro_f1s(matrices: Counts) -> Values:
    """(…, K, K) → (…): mean F1 over the labels that occur in the truth.

    A set without a label would otherwise punish one stray prediction of it with an F1 of zero,
    which a model that was only trained on that set's labels cannot make.
    """
    occurs = matrices.sum(-1) > 0
    return _ratio(np.where(occurs, f1s(matrices), 0.0).sum(-1), occurs.sum(-1))


def f1s(matrices: Counts) -> Values:
    """(…, K, K) → (…, K); NaN for a label that is neither true nor predicted."""
    return _ratio(2.0 * _right(matrices), matrices.sum(-1) + matrices.sum(-2))


def down_rates(matrices: Counts, levels: int = 1) -> Values:
    """(…, K, K) → (…): share predicted milder than they are, by so many levels or more."""
    return _ratio(np.tril(matrices, -levels).sum((-2, -1)), _totals(matrices))


def quadratic_weighted_kappa(matrix: Counts) -> float:
    """`kappas` of one matrix."""
    return float(kappas(matrix))


def macro_f1(matrix: Counts) -> float:
    """`macro_f1s` of one matrix."""
    return float(macro_f1s(matrix))


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
    return Figures(
        count=len(truth),
        accuracy=float(np.mean(truth == predicted)),
        macro_f1=macro_f1(matrix),
        kappa=quadratic_weighted_kappa(matrix),
        absolute_error=float(np.abs(truth - predicted).mean()),
        recall=_tuple(_ratio(_right(matrix), matrix.sum(1))),
        precision=_tuple(_ratio(_right(matrix), matrix.sum(0))),
        f1=_tuple(f1s(matrix)),
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        down_rate=float(down_rates(matrix)),
        down_two_rate=float(down_rates(matrix, 2)),
        up_rate=float(down_rates(matrix.T)),
        calibration_error=float("nan") if probabilities is None else calibration_error(probabilities, truth),
    )


def _right(matrices: Counts) -> Counts:
    return np.diagonal(matrices, axis1=-2, axis2=-1)


def _totals(matrices: Counts) -> Counts:
    totals: Counts = matrices.sum((-2, -1))
    return totals


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Values:
    """Element by element, NaN where the whole is zero."""
    wholes = np.asarray(whole, np.float64)
    ratios: Values = np.divide(part, wholes, out=np.full(wholes.shape, np.nan), where=wholes != 0)
    return ratios


def _tuple(values: Values) -> tuple[float, ...]:
    return tuple(values.tolist())
