"""Logistic stacking (Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1) on ordered labels.

The log-odds of each step is a weighted sum of the experts' log-odds of that step, plus an
intercept; an expert that did not rate enters with its mean over the fitted rows, plus a term
for its absence.

Legend:  N = items, E = experts, K = labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capitoline.fusion.continuation import fit_steps, taught_steps
from capitoline.fusion.fitted import Frame, Tensors, frame_of, least_cost, rows_to_fit
from capitoline.fusion.log_odds import by_expert, distribution, most_alarmed
from capitoline.fusion.options import Options
from capitoline.modalities.decisions import Decisions
from capitoline.modalities.feature_set import FeatureSet

Array = npt.NDArray[np.float64]

RIDGE = 1.0
"""About one observation's worth of belief in the plain mean of the log-odds, where the fit starts."""


class Stacking:
    """Decides by one weighted sum of log-odds; steps that no row taught follow the most alarmed expert."""

    name = "fusion:stacking"

    def __init__(self, frame: Frame, tensors: Tensors) -> None:
        """`tensors`: `parameters` (2E + K-1,), `usual` (E, K-1) and `taught` (K-1,), 1 or 0."""
        self.frame, self.tensors = frame, tensors

    def decide(self, features: FeatureSet) -> Decisions:
        self.frame.check(features)
        odds, rated = by_expert(features, self.frame.names)
        probabilities = distribution(self.odds(odds, rated))
        return least_cost(probabilities, rated, self.frame.down_cost)

    def odds(self, odds: Array, rated: npt.NDArray[np.bool_]) -> Array:
        """(N, E, K-1) of the experts → (N, K-1) of the stack."""
        design = _design(np.where(rated[:, :, None], odds, self.tensors["usual"]), rated)
        return np.where(self.tensors["taught"] > 0, design @ self.tensors["parameters"], most_alarmed(odds, rated))


def fit(features: FeatureSet, options: Options) -> Stacking:
    """Fit on rows that no expert has seen. Raises ValueError as `rows_to_fit`."""
    rows, frame = rows_to_fit(features), frame_of(features, options.down_cost)
    odds, rated = by_expert(rows, frame.names)
    usual = odds.sum(axis=0) / np.maximum(rated.sum(axis=0), 1)[:, None]
    experts, steps = usual.shape
    start = np.concatenate((np.full(experts, 1 / experts), np.zeros(experts + steps)))
    parameters = fit_steps(_design(np.where(rated[:, :, None], odds, usual), rated), rows.truth, start, RIDGE)
    taught = taught_steps(rows.truth, steps + 1)
    arrays = {"parameters": parameters, "usual": usual, "taught": taught}
    return Stacking(frame, {name: array.astype(np.float32) for name, array in arrays.items()})


def _design(odds: Array, rated: npt.NDArray[np.bool_]) -> Array:
    """(N, E, K-1) without gaps → (N, K-1, 2E + K-1): slopes, terms of absence, intercepts."""
    items, _, steps = odds.shape
    absent = np.broadcast_to(np.logical_not(rated)[:, None, :], (items, steps, rated.shape[1]))
    intercepts = np.broadcast_to(np.eye(steps), (items, steps, steps))
    return np.concatenate((odds.transpose(0, 2, 1), absent, intercepts), axis=2)
