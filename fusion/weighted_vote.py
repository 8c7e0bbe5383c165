"""A vote whose weights are fitted: the plurality of weighted ballots that costs least on labelled rows.

The cost is piecewise constant in the weights, so that there is no gradient to follow; with a
handful of experts a search along each weight in turn, over a short ladder of values, finds a
good vote in milliseconds. The ladder includes 0: an expert may be silenced.

Legend:  N = items, E = experts, K = labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capitoline.fusion.fitted import Frame, Tensors, frame_of, rows_to_fit
from capitoline.fusion.options import Options
from capitoline.modalities.ballots import Severities, ballots_of, shares_of, totals_of, winners_of
from capitoline.modalities.decisions import Decisions
from capitoline.modalities.feature_set import FeatureSet

LADDER = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
"""Weights that are tried; all are exact in float32, so that a saved vote draws where the fitted one drew."""

ROUNDS = 4
"""Passes over the experts; the search ends earlier when a pass changes nothing."""


class WeightedVote:
    """Most weight wins; a draw goes to the more restrictive."""

    name = "fusion:weighted_vote"

    def __init__(self, frame: Frame, tensors: Tensors) -> None:
        """`tensors`: `weights` (E,)."""
        self.frame, self.tensors = frame, tensors
        self._weights = dict(zip(frame.names, tensors["weights"].tolist(), strict=True))

    def decide(self, features: FeatureSet) -> Decisions:
        self.frame.check(features)
        weights = [self._weights[expert.name] for expert in features.experts]
        totals = totals_of(ballots_of(features), weights, len(features.labels))
        return Decisions(winners_of(totals), shares_of(totals))


def fit(features: FeatureSet, options: Options) -> WeightedVote:
    """Weights of least cost on rows that no expert has seen. Raises ValueError as `rows_to_fit`."""
    rows, frame = rows_to_fit(features), frame_of(features, options.down_cost)
    ballots = ballots_of(rows)
    weights = np.ones(len(frame.experts))
    for _ in range(ROUNDS):
        before = weights.copy()
        for expert in range(len(weights)):
            weights = _best_along(expert, weights, ballots, rows, options.down_cost)
        if (weights == before).all():
            break
    return WeightedVote(frame, {"weights": weights.astype(np.float32)})


def _best_along(
    expert: int, weights: npt.NDArray[np.float64], ballots: Severities, rows: FeatureSet, down_cost: float
) -> npt.NDArray[np.float64]:
    """The weights with that of `expert` replaced by the best of the ladder; a tie keeps what is there."""
    tried = [weights, *(np.where(np.arange(len(weights)) == expert, rung, weights) for rung in LADDER)]
    predicted = [winners_of(totals_of(ballots, one.tolist(), len(rows.labels))) for one in tried]
    return tried[int(np.argmin([_cost(rows.truth, one, down_cost) for one in predicted]))]


def _cost(truth: Severities, predicted: Severities, down_cost: float) -> float:
    """Mean squared levels, too mild ones `down_cost` times; what the quadratic kappa punishes."""
    levels = predicted - truth
    return float((levels**2 * np.where(levels < 0, down_cost, 1.0)).mean())
