"""The fusion network, deciding without PyTorch: what `mlp_training.py` fits, ready to use.

Each expert's pre-logits and log-odds pass a small adapter to a common width; an expert that
did not rate has a learned vector instead. The vectors, in the order of the experts' names, and
a presence bit each go through one hidden layer, whose output is *added* to a weighted sum of
the log-odds (`stacking.py`): the network starts as that sum and learns only what it misses.

A missing expert must not make a verdict milder than the mean over what it might have said. So
the decider keeps a sample of what it did say on the fitted rows, averages the prediction over
that sample, and takes the more severe of this mean and its own answer, step by step.

Legend:  N = items, E = experts, M = networks, D = width of one expert's pre-logits, W = width
         of an adapter, H = hidden units, S = samples, K = labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capitoline.fusion.fitted import Frame, Tensors, least_cost
from capitoline.fusion.log_odds import by_expert, distribution, most_alarmed
from capitoline.modalities.decisions import Decisions
from capitoline.modalities.feature_set import FeatureSet
from capitoline.modalities.rwkv.steps import normalised

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ODDS_SCALE = np.float32(3.0)
"""Log-odds are divided by it, to the order of a normalised pre-logit."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the network reads about N items."""

    features: tuple[Array, ...]
    """E arrays (N, D): pre-logits, zeros where not rated."""
    odds: Array
    """(N, E, K-1), zeros where not rated."""
    rated: Mask
    """(N, E)"""


def inputs_of(features: FeatureSet, frame: Frame, widths: tuple[int, ...]) -> Inputs:
    """Raises ValueError for an expert whose pre-logits have another width than those it was fitted with."""
    odds, rated = by_expert(features, frame.names)
    held = {one.name: one.features for one in features.experts}
    arrays = []
    for name, width in zip(frame.names, widths, strict=True):
        array = held.get(name)
        if array is None or not array.size:
            array = np.zeros((len(features), width), np.float32)
        if array.shape[1] != width:
            raise ValueError(f"{name} was fitted with {width} pre-logits and has {array.shape[1]} now: fit anew")
        arrays.append(array)
    return Inputs(tuple(arrays), odds.astype(np.float32), rated)


class Mlp:
    """A mean of M networks' log-odds, which any subset of the experts can ask."""

    name = "fusion:mlp"

    def __init__(self, frame: Frame, tensors: Tensors) -> None:
        """`tensors`: of each `FusionNetwork`, numbered; `temperature` (1,); `taught` (K-1,), 1 or 0; the samples."""
        self.frame, self.tensors = frame, tensors
        members = sum(name.endswith(".slopes") for name in tensors)
        self._members = [_Member(frame, tensors, f"{member}.") for member in range(members)]
        odds = tensors["samples_odds"]
        read = [tensors[f"0.adapters.{expert}.linear.weight"].shape[1] for expert in range(len(frame.names))]
        self._widths = tuple(width - odds.shape[2] for width in read)
        unspoken = np.zeros((len(odds), 0), np.float32)
        features = tuple(tensors.get(f"samples.{name}", unspoken) for name in frame.names)
        self._samples = Inputs(features, odds, np.ones(odds.shape[:2], np.bool_))
        self._sample_sums = [member.sums(self._samples) for member in self._members]

    def decide(self, features: FeatureSet) -> Decisions:
        self.frame.check(features)
        inputs = inputs_of(features, self.frame, self._widths)
        probabilities = self._own(inputs)
        for pattern in np.unique(inputs.rated, axis=0):
            rows = np.flatnonzero((inputs.rated == pattern).all(axis=1))
            if pattern.any() and not pattern.all():
                probabilities[rows] = more_severe(probabilities[rows], self.imagined(inputs, rows, pattern))
        return least_cost(probabilities, inputs.rated, self.frame.down_cost)

    def imagined(self, inputs: Inputs, rows: npt.NDArray[np.int64], present: Mask) -> Array:
        """(n, K) of items `rows`, who all have the experts `present` (E,): the mean over samples of the others."""
        logits = np.zeros((len(rows), len(self._samples.odds), inputs.odds.shape[2]), np.float32)
        chosen = Inputs(tuple(one[rows] for one in inputs.features), inputs.odds[rows], inputs.rated[rows])
        for member, sampled in zip(self._members, self._sample_sums, strict=True):
            known = member.sums(chosen)
            logits += member.logits(known[:, None, present].sum(axis=2) + sampled[None, :, ~present].sum(axis=2))
        alarmed = np.maximum(
            most_alarmed(chosen.odds, np.broadcast_to(present, chosen.rated.shape))[:, None],
            self._samples.odds[:, ~present].max(axis=1)[None],
        )
        means: Array = self._distribution(logits, alarmed).mean(axis=1)
        return means

    def _own(self, inputs: Inputs) -> Array:
        """(N, K) by the learned vectors of absence."""
        logits = np.sum([member.logits(member.sums(inputs).sum(axis=1)) for member in self._members], axis=0)
        return self._distribution(logits, most_alarmed(inputs.odds, inputs.rated))

    def _distribution(self, summed: Array, alarmed: npt.NDArray[np.floating]) -> Array:
        logits = summed / len(self._members) / self.tensors["temperature"]
        return distribution(np.where(self.tensors["taught"] > 0, logits, alarmed))


class _Member:
    """One network. All that experts add up in is a *sum*: hidden units before their bend, then log-odds, (H + K-1)."""

    def __init__(self, frame: Frame, tensors: Tensors, prefix: str) -> None:
        own = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
        self._own, self._names = own, frame.names
        self._hidden = own["hidden.weight"].shape[0]
        self._width = own["absent"].shape[1]

    def sums(self, inputs: Inputs) -> Array:
        """(N, E, H + K-1) what each expert, or its absence, adds."""
        return np.stack([self._sum(inputs, expert) for expert in range(len(self._names))], axis=1)

    def logits(self, sums: Array) -> Array:
        """(..., H + K-1) summed over the experts → (..., K-1)."""
        own, hidden = self._own, self._hidden
        bent = np.maximum(sums[..., :hidden] + own["hidden.bias"], 0)
        logits: Array = bent @ own["logits.weight"].T + own["logits.bias"] + sums[..., hidden:]
        return logits

    def _sum(self, inputs: Inputs, expert: int) -> Array:
        own, width = self._own, self._width
        rated = inputs.rated[:, expert, None]
        adapted = np.where(rated, self._adapted(inputs, expert), own["absent"][expert])
        into_hidden = own["hidden.weight"][:, expert * width : (expert + 1) * width].T
        of_presence = own["hidden.weight"][:, len(self._names) * width + expert]
        hidden = adapted @ into_hidden + rated * of_presence
        odds = np.where(rated, inputs.odds[:, expert], own["usual"][expert]) * own["slopes"][expert]
        return np.concatenate((hidden, odds + ~rated * own["absence"][expert]), axis=1, dtype=np.float32)

    def _adapted(self, inputs: Inputs, expert: int) -> Array:
        """(N, W)"""
        own, prefix = self._own, f"adapters.{expert}."
        parts = [inputs.odds[:, expert] / ODDS_SCALE]
        if inputs.features[expert].shape[1]:
            normed = normalised(inputs.features[expert])
            parts.insert(0, normed * own[f"{prefix}norm.weight"] + own[f"{prefix}norm.bias"])
        read = np.concatenate(parts, axis=1)
        adapted: Array = np.maximum(read @ own[f"{prefix}linear.weight"].T + own[f"{prefix}linear.bias"], 0)
        return adapted


def more_severe(one: Array, other: Array) -> Array:
    """(N, K) twice → (N, K), at each severity the greater probability of reaching it: no milder than either."""
    reached = [np.cumsum(each[:, ::-1], axis=1)[:, ::-1] for each in (one, other)]
    greater = np.pad(np.maximum(*reached)[:, 1:], ((0, 0), (1, 1)), constant_values=((0, 0), (1, 0)))
    return np.asarray(np.maximum(greater[:, :-1] - greater[:, 1:], 0), np.float32)
