"""Whether probabilities mean what they say.

Legend:  N = items, K = labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float32]
BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """The items whose likeliest label has a probability between two bounds."""

    count: int
    confidence: float
    """Mean probability of the likeliest label."""
    accuracy: float
    """Share of items of which it is the true one."""


def reliability(probabilities: Probabilities, truth: npt.NDArray[np.int64], bins: int = BINS) -> tuple[Bin, ...]:
    """Of (N, K) probabilities, the bins of equal width that are not empty, least confident first."""
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == truth
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    inside = [bin_of == one for one in range(bins)]
    return tuple(
        Bin(int(rows.sum()), float(confidence[rows].mean()), float(right[rows].mean())) for rows in inside if rows.any()
    )


def calibration_error(probabilities: Probabilities, truth: npt.NDArray[np.int64], bins: int = BINS) -> float:
    """Expected calibration error of the likeliest label (arXiv:1706.04599)."""
    gaps = [one.count * abs(one.confidence - one.accuracy) for one in reliability(probabilities, truth, bins)]
    return float(np.sum(gaps) / len(truth))
