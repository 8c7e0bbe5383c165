"""A weight file that rates sequences, without PyTorch: what `sequence.py` trains, ready to use.

Legend:  B = sequences, T = elements of all sequences, V = width of a vector going in,
         C = width of RWKV-7, D = width of the pre-logits, K = labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.ordinal import Array, Head, decide
from capitoline.modalities.rwkv.forward import Forward
from capitoline.modalities.weights import read_arrays

ELEMENTS_A_RUN = 1_024
"""Tokens or vectors in one run of the network: enough for the matrix products, few enough for the caches."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """What the network says about B inputs."""

    probabilities: Array
    """(B, K), each row summing to 1."""
    features: Array
    """(B, D) pre-logits."""
    severities: npt.NDArray[np.int64]
    """(B,) of least expected cost."""

    @property
    def expected(self) -> Array:
        """(B,) expected severity: finer than the decided one, for ranking the parts of an item."""
        return (self.probabilities @ np.arange(self.probabilities.shape[1])).astype(np.float32)

    def worst_of(self, owners: Sequence[int], count: int) -> Ratings:
        """Of the parts of each owner 0 … count-1, the one of the highest expected severity.

        A mean would let ninety harmless frames hide one that is not.
        """
        expected, worst = self.expected, np.full(count, -1)
        for part, owner in enumerate(owners):
            if worst[owner] < 0 or expected[part] > expected[worst[owner]]:
                worst[owner] = part
        assert (worst >= 0).all(), "an owner without a part"
        return Ratings(self.probabilities[worst], self.features[worst], self.severities[worst])


class SequenceRater:
    """A weight file, loaded, that rates sequences on the labels it was trained on.

    Raises:
        ValueError: the file cannot be read or holds weights of another kind.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.tensors, self.metadata = read_arrays(path, kind)
        self.labels: tuple[str, ...] = tuple(self.metadata["labels"])
        self._features: int = self.metadata["shape"]["features"]
        try:
            self._body = Forward(_within(self.tensors, "body."))
            self._projector = _projector(self.tensors, self._body.width)
            self._heads = {name: Head(_within(self.tensors, f"heads.{name}.")) for name in self.metadata["heads"]}
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path} does not hold the network that its header describes: {error}") from error

    def __call__(self, sequences: Sequence[npt.NDArray[Any]], head: str) -> Ratings:
        """Ratings of B sequences, none empty, each of (T, V) float32 vectors or (T,) int64 token ids, by `head`."""
        probabilities = np.zeros((len(sequences), len(self.labels)), np.float32)
        features = np.zeros((len(sequences), self._features), np.float32)
        for rows in _runs([len(one) for one in sequences]):
            pooled = self._pooled([sequences[row] for row in rows])
            probabilities[rows], features[rows] = self._heads[head](pooled)
        return Ratings(probabilities, features, decide(probabilities, self.metadata["down_cost"]))

    def _pooled(self, sequences: Sequence[npt.NDArray[Any]]) -> Array:
        """(B, 2C)."""
        inputs, offsets = np.concatenate(sequences), np.cumsum([0, *map(len, sequences)])
        if self._projector is not None:
            weight, bias = self._projector
            inputs = inputs @ weight + bias
        return pool(self._body(inputs, offsets), offsets)


def pool(hidden: Array, offsets: npt.NDArray[np.int64]) -> Array:
    """(T, C) → (B, 2C): the last vector, which has read everything, beside the mean, which forgets nothing."""
    lengths = np.diff(offsets)
    assert (lengths > 0).all(), "an empty sequence"
    mean = np.add.reduceat(hidden, offsets[:-1]) / lengths[:, None]
    return np.concatenate((hidden[offsets[1:] - 1], mean), axis=1, dtype=np.float32)


def _projector(tensors: Mapping[str, Array], width: int) -> tuple[Array, Array] | None:
    """From vectors (V) to C, where the network takes vectors."""
    if "projector.weight" not in tensors:
        return None
    weight = tensors["projector.weight"].reshape(width, -1).T
    return np.ascontiguousarray(weight), tensors["projector.bias"].reshape(width)


def _within(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}


def _runs(lengths: Sequence[int]) -> list[list[int]]:
    """Rows divided into runs of at most `ELEMENTS_A_RUN` elements; a longer sequence runs alone."""
    runs: list[list[int]] = []
    room = 0
    for row, length in enumerate(lengths):
        if length > room:
            runs.append([])
            room = ELEMENTS_A_RUN
        runs[-1].append(row)
        room -= length
    return runs
