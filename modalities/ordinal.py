"""From a pooled vector to a decision on the ordered scale: `heads.py` without PyTorch.

Legend:  B = batch, C = width of the pooled vector, D = width of the pre-logits, K = labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Head:
    """What `OrdinalHead` has learned: pooled (B, C) → probabilities (B, K) and pre-logits (B, D).

    Args:
        tensors: an `OrdinalHead`'s.

    Raises:
        KeyError: a tensor is missing.
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._norm = tensors["norm.weight"], tensors["norm.bias"]
        self._features = tensors["features.weight"].T, tensors["features.bias"]
        self._logits = tensors["logits.weight"].T, tensors["logits.bias"]
        self._temperature = tensors["temperature"]

    def __call__(self, pooled: Array) -> tuple[Array, Array]:
        weight, bias = self._norm
        centred = pooled - pooled.mean(-1, keepdims=True)
        normed = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + np.float32(1e-5)) * weight + bias
        features = _gelu(normed @ self._features[0] + self._features[1])
        logits = (features @ self._logits[0] + self._logits[1]) / self._temperature
        return probabilities_of(logits), features


def probabilities_of(logits: Array) -> Array:
    """(B, K-1) continuation-ratio logits → (B, K), as `log_probabilities` says."""
    above = np.cumsum(-np.logaddexp(0.0, -logits), axis=-1)
    stays = -np.logaddexp(0.0, logits)
    reached = np.pad(above[:, :-1], ((0, 0), (1, 0)))
    probabilities: Array = np.exp(np.concatenate((reached + stays, above[:, -1:]), axis=-1)).astype(np.float32)
    return probabilities


def decide(probabilities: Array, down_cost: float) -> npt.NDArray[np.int64]:
    """(B, K) probabilities → (B,) severities of least expected cost.

    A level too mild costs `down_cost` times a level too severe; the least expected cost is
    then at the down_cost / (1 + down_cost) quantile (1 is the median).
    """
    quantile = down_cost / (1.0 + down_cost)
    cumulative = np.cumsum(probabilities, axis=-1, dtype=np.float64)[:, :-1]
    severities: npt.NDArray[np.int64] = (cumulative < quantile).sum(axis=-1)
    return severities


def _gelu(x: Array) -> Array:
    """The exact one, with the error function that NumPy lacks."""
    erf = np.fromiter(map(math.erf, (x.ravel() * math.sqrt(0.5)).tolist()), np.float32, x.size)
    return (x * (1 + erf.reshape(x.shape)) / 2).astype(np.float32, copy=False)
