"""Ballots of many items at once, as arrays.

Legend:  N = items, E = experts, K = labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from capitoline.modalities.feature_set import FeatureSet

Shares = npt.NDArray[np.float64]
Severities = npt.NDArray[np.int64]

SILENT = -1
"""The ballot of an expert that did not rate: below every severity, so that it never wins."""


def ballots_of(features: FeatureSet) -> Severities:
    """(N, E), `SILENT` where the expert did not rate."""
    columns = [np.where(one.rated, one.severities, SILENT) for one in features.experts]
    return np.stack(columns, axis=1) if columns else np.empty((len(features), 0), np.int64)


def totals_of(ballots: Severities, weights: Sequence[float], labels: int) -> Shares:
    """(N, K) weights of the ballots for each severity; -1 for a severity that nobody voted for.

    Added expert by expert in the order of the names, as the voter of one item adds them: a
    float sum depends on its order, and a draw on the sum's last bit.
    """
    totals = np.full((len(ballots), labels), -1.0)
    for column, weight in zip(ballots.T, weights, strict=True):
        rows = np.flatnonzero(column != SILENT)
        chosen = rows, column[rows]
        totals[chosen] = np.maximum(totals[chosen], 0.0) + weight
    return totals


def winners_of(totals: Shares) -> Severities:
    """(N,) the severity of the greatest total, of several the most restrictive; -1 where nobody voted."""
    labels = totals.shape[1]
    winners = labels - 1 - totals[:, ::-1].argmax(axis=1)
    return np.where(totals.max(axis=1) < 0, SILENT, winners)


def shares_of(totals: Shares) -> npt.NDArray[np.float32]:
    """(N, K) each severity's share of the ballots' weight; of their count where all weights are zero; zeros without."""
    cast = np.maximum(totals, 0.0)
    weightless = (cast.sum(axis=1) == 0)[:, None]
    cast = np.where(weightless, totals >= 0, cast)
    shares: npt.NDArray[np.float32] = (cast / np.maximum(cast.sum(axis=1, keepdims=True), 1e-300)).astype(np.float32)
    return shares
