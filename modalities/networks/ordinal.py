"""From a pooled vector to decisions on ordered levels: `heads.py` and `losses.py` without PyTorch.

A head speaks about A axes, each of K levels. A rating head has one axis without a name and the
labels of its scale; a head of harm categories has an axis for each category, of two levels.

Legend:  B = batch, C = width of the pooled vector, D = width of the pre-logits, A = axes, K = levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.rwkv.steps import normalised

Array = npt.NDArray[np.float32]

ONE_AXIS = ("",)
"""The axes of a head that has but one."""

LINK_OF = {"corn": "continuation", "cumulative": "cumulative", "soft": "softmax", "cross_entropy": "softmax"}
"""Loss → how its logits become probabilities."""


@dataclass(frozen=True, slots=True)
class HeadShape:
    """What a head says, and how it was taught."""

    levels: tuple[str, ...]
    """K of them, mildest first."""
    axes: tuple[str, ...] = ONE_AXIS
    """A of them."""
    loss: str = "corn"
    """One of `LINK_OF`."""
    down_cost: float = 1.0
    """Cost of deciding a level too mild, in costs of deciding a level too severe."""

    @property
    def link(self) -> str:
        return LINK_OF[self.loss]

    @property
    def is_one_axis(self) -> bool:
        return self.axes == ONE_AXIS


def head_shapes(metadata: Mapping[str, Any]) -> dict[str, HeadShape]:
    """The heads of a weight file, by name. Older files list the names of rating heads only."""
    heads = metadata["heads"]
    if not isinstance(heads, dict):
        return {name: HeadShape(tuple(metadata["labels"]), down_cost=metadata["down_cost"]) for name in heads}
    return {
        name: HeadShape(tuple(one["levels"]), tuple(one["axes"]), one["loss"], one["down_cost"])
        for name, one in heads.items()
    }


class Head:
    """What `OrdinalHead` has learned: pooled (B, C) → probabilities (B, A, K) and pre-logits (B, D).

    Args:
        tensors: an `OrdinalHead`'s.

    Raises:
        KeyError: a tensor is missing.
        ValueError: one has not the shape that `shape` asks for.
    """

    def __init__(self, tensors: Mapping[str, Array], shape: HeadShape) -> None:
        self._norm = tensors["norm.weight"], tensors["norm.bias"]
        self._features = tensors["features.weight"].T, tensors["features.bias"]
        self._sizes = len(shape.axes), len(shape.levels) - 1
        weight, bias = _logits(tensors, *self._sizes)
        self._logits = np.ascontiguousarray(weight.reshape(math.prod(self._sizes), -1).T), bias.reshape(-1)
        self._temperature = tensors["temperature"]
        self._linear = tensors["linear"].T if "linear" in tensors else None
        self._link = LINKS[shape.link]

    def __call__(self, pooled: Array, wide: Array | None = None) -> tuple[Array, Array]:
        """`wide` (B, A × (K-1)) is logits from elsewhere, to be added before the temperature."""
        weight, bias = self._norm
        normed: Array = normalised(pooled) * weight + bias
        features = _gelu(normed @ self._features[0] + self._features[1])
        logits = features @ self._logits[0] + self._logits[1]
        if self._linear is not None:
            logits = logits + pooled[:, -len(self._linear) :] @ self._linear
        logits = (logits if wide is None else logits + wide) / self._temperature
        return self._link(logits.reshape(len(pooled), *self._sizes)), features


def _logits(tensors: Mapping[str, Array], axes: int, steps: int) -> tuple[Array, Array]:
    """Weight (A, K-1, D) and bias (A, K-1); the steps of a cumulative head differ in their thresholds only."""
    weight = tensors["logits.weight"]
    if "thresholds" not in tensors:
        return weight.reshape(axes, steps, -1), tensors["logits.bias"].reshape(axes, steps)
    return np.repeat(weight.reshape(axes, 1, -1), steps, 1), -ascending(tensors["thresholds"].reshape(axes, steps))


def ascending(raw: Array) -> Array:
    """(A, K-1) free numbers → thresholds that rise: the first, then what each lies above the one before."""
    gaps = np.logaddexp(0.0, raw[:, 1:])
    return np.cumsum(np.concatenate((raw[:, :1], gaps), axis=1), axis=1, dtype=np.float32)


def probabilities_of(logits: Array) -> Array:
    """(…, K-1) continuation-ratio logits → (…, K), as `losses.continuation` says."""
    above = np.cumsum(-np.logaddexp(0.0, -logits), axis=-1)
    stays = -np.logaddexp(0.0, logits)
    reached = np.concatenate((np.zeros_like(above[..., :1]), above[..., :-1]), axis=-1)
    probabilities: Array = np.exp(np.concatenate((reached + stays, above[..., -1:]), axis=-1)).astype(np.float32)
    return probabilities


def _cumulative(logits: Array) -> Array:
    """(…, K-1) falling log-odds of lying above each level → (…, K), as `losses.cumulative` says."""
    above = np.exp(-np.logaddexp(0.0, -logits))
    ends = np.ones_like(above[..., :1])
    probabilities: Array = -np.diff(np.concatenate((ends, above, 0 * ends), axis=-1), axis=-1).astype(np.float32)
    return probabilities


def _softmax(logits: Array) -> Array:
    """(…, K-1) log-ratios to the mildest level → (…, K), as `losses.softmax` says."""
    all_logits = np.concatenate((np.zeros_like(logits[..., :1]), logits), axis=-1)
    powers = np.exp(all_logits - all_logits.max(-1, keepdims=True))
    probabilities: Array = (powers / powers.sum(-1, keepdims=True)).astype(np.float32)
    return probabilities


LINKS: dict[str, Callable[[Array], Array]] = {
    "continuation": probabilities_of,
    "cumulative": _cumulative,
    "softmax": _softmax,
}


def decide(probabilities: Array, down_cost: float) -> npt.NDArray[np.int64]:
    """(…, K) probabilities → (…) severities of least expected cost.

    A level too mild costs `down_cost` times a level too severe; the least expected cost is
    then at the down_cost / (1 + down_cost) quantile (1 is the median).
    """
    quantile = down_cost / (1.0 + down_cost)
    cumulative = np.cumsum(probabilities, axis=-1, dtype=np.float64)[..., :-1]
    severities: npt.NDArray[np.int64] = (cumulative < quantile).sum(axis=-1)
    return severities


def _gelu(x: Array) -> Array:
    """The exact one, with the error function that NumPy lacks."""
    erf = np.fromiter(map(math.erf, (x.ravel() * math.sqrt(0.5)).tolist()), np.float32, x.size)
    return (x * (1 + erf.reshape(x.shape)) / 2).astype(np.float32, copy=False)
