"""The experts' probabilities as continuation-ratio log-odds, the coordinates in which they add up.

Legend:  N = items, E = experts, K = labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from capitoline.modalities.feature_set import ExpertFeatures, FeatureSet
from capitoline.modalities.networks.ordinal import probabilities_of

Array = npt.NDArray[np.float64]

FLOOR = 1e-3
"""Added to every probability: no expert is surer than about one in a thousand, nor one who says so for certain."""


def log_odds(probabilities: npt.NDArray[np.float32]) -> Array:
    """(..., K) → (..., K-1): of a severity above k, given that it is at least k."""
    floored = probabilities.astype(np.float64)
    above = np.cumsum(floored[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    return np.log(np.maximum(above, 0.0) + FLOOR) - np.log(floored[..., :-1] + FLOOR)


def distribution(odds: Array) -> npt.NDArray[np.float32]:
    """(..., K-1) log-odds → (..., K) probabilities."""
    flat = probabilities_of(odds.reshape(-1, odds.shape[-1]).astype(np.float32))
    return flat.reshape(*odds.shape[:-1], -1)


def by_expert(features: FeatureSet, names: Sequence[str]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """(N, E, K-1) log-odds, zeros where an expert did not rate, and (N, E) whether it did."""
    held = {one.name: one for one in features.experts}
    odds = np.zeros((len(features), len(names), len(features.labels) - 1))
    rated = np.zeros((len(features), len(names)), np.bool_)
    for place, name in enumerate(names):
        expert: ExpertFeatures | None = held.get(name)
        if expert is not None:
            rated[:, place] = expert.rated
            odds[expert.rated, place] = log_odds(expert.probabilities[expert.rated])
    return odds, rated


def most_alarmed(odds: npt.NDArray[np.floating], rated: npt.NDArray[np.bool_]) -> Array:
    """(N, K-1) the greatest log-odds among the experts that rated; zeros without any."""
    greatest = np.where(rated[:, :, None], odds, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(greatest), greatest, 0.0).astype(np.float64)
