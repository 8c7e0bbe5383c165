"""The mean of the experts' probabilities: the simplest decider that has probabilities of its own.

Legend:  N = items, K = labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capitoline.modalities.decisions import NOT_RATED, Decisions, decided
from capitoline.modalities.feature_set import FeatureSet


class MeanProbability:
    """Averages over the experts that rated; the severity is the upper median of the mean.

    The median of an ordered distribution, not its mode: two experts at PG and two at X must
    not be decided by which peak is a hair higher. An expert that rated without probabilities
    (the tag thresholds) counts as certain of its severity.
    """

    name = "mean"

    def decide(self, features: FeatureSet) -> Decisions:
        total = np.zeros((len(features), len(features.labels)))
        raters = np.zeros((len(features), 1))
        for expert in features.experts:
            rated = expert.rated[:, None]
            total, raters = total + np.where(rated, expert.probabilities, 0.0), raters + rated
        mean = total / np.maximum(raters, 1)
        severities = np.where(raters[:, 0] > 0, upper_median(mean), NOT_RATED)
        return decided(severities, mean)


def upper_median(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """(N, K) rows summing to 1 → (N,) greatest severity k with P(severity ≥ k) ≥ 1/2."""
    at_least = np.cumsum(probabilities[:, ::-1], axis=1)[:, ::-1]
    # Sums of float32 thirds and fifths fall a rounding short of one half; a draw must still go up.
    severities: npt.NDArray[np.int64] = (at_least[:, 1:] >= 0.5 - 1e-6).sum(axis=1)
    return severities
