"""A weight file that rates sequences, without PyTorch: what `sequence.py` trains, ready to use.

Legend:  B = sequences, T = elements of all sequences, V = width of a vector going in,
         C = width of RWKV-7, P = width of what the heads see, D = width of the pre-logits,
         A = axes of a head, K = its levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.language.vocabulary import Vocabulary
from capitoline.modalities.language.wide import HEADS, IDF, Wide
from capitoline.modalities.networks.distribution import STATISTICS, distribution
from capitoline.modalities.networks.ordinal import Array, Head, HeadShape, decide, head_shapes
from capitoline.modalities.rwkv.forward import Forward
from capitoline.modalities.rwkv.steps import normalised
from capitoline.modalities.weights import read_arrays

Numbers = npt.NDArray[np.int64]

NONE: Numbers = np.empty((0, 3), np.int64)
"""No stretches."""

ELEMENTS_A_RUN = 1_024
"""Tokens or vectors in one run of the network: enough for the matrix products, few enough for the caches."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """What a head says about B inputs. A head of several axes has one more dimension, after B.

    Raises:
        FloatingPointError: values are infinite or not a number, whose severity would be the mildest.
    """

    probabilities: Array
    """(B, K) or (B, A, K), each row summing to 1."""
    features: Array
    """(B, D) pre-logits."""
    severities: npt.NDArray[np.int64]
    """(B,) or (B, A) of least expected cost."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.probabilities).all() and np.isfinite(self.features).all()):
            raise FloatingPointError("the network computes values that are no numbers: it is damaged, train it anew")

    @property
    def expected(self) -> Array:
        """(B,) or (B, A) expected severity: finer than the decided one, for ranking the parts of an item."""
        return (self.probabilities @ np.arange(self.probabilities.shape[-1])).astype(np.float32)

    def at(self, rows: Sequence[int]) -> Ratings:
        """Those of some inputs."""
        return Ratings(self.probabilities[rows], self.features[rows], self.severities[rows])

    def worst_of(self, owners: Sequence[int], count: int) -> Ratings:
        """Of the parts of each owner 0 … count-1, the one of the highest expected severity, on each axis.

        A mean would let ninety harmless frames hide one that is not. The pre-logits are those of
        the part that is worst over all axes together.
        """
        expected = self.expected
        worst = _worst(expected if expected.ndim == 1 else expected.sum(1), owners, count)
        if expected.ndim == 1:
            return self.at(worst.tolist())
        parts = np.stack([_worst(axis, owners, count) for axis in expected.T], axis=1)
        axes = np.arange(parts.shape[1])
        return Ratings(self.probabilities[parts, axes], self.features[worst], self.severities[parts, axes])


def _worst(expected: Array, owners: Sequence[int], count: int) -> npt.NDArray[np.int64]:
    """(count,) the part of the highest `expected` (B,) among those of each owner."""
    worst = np.full(count, -1)
    for part, owner in enumerate(owners):
        if worst[owner] < 0 or expected[part] > expected[worst[owner]]:
            worst[owner] = part
    assert (worst >= 0).all(), "an owner without a part"
    return worst


class SequenceRater:
    """A weight file, loaded, that rates sequences on the labels it was trained on.

    Args:
        rounded: multiply in 16 bits where the processor gains by it. Probabilities then are within 2·10⁻⁴ of float32's
            in fixed point, and within 2·10⁻² in bfloat16.

    Raises:
        ValueError: the file cannot be read or holds weights of another kind.
    """

    def __init__(self, path: Path, kind: str, *, rounded: bool = True) -> None:
        self._path = path
        self.tensors, self.metadata = read_arrays(path, kind)
        self.labels: tuple[str, ...] = tuple(self.metadata["labels"])
        self.heads: dict[str, HeadShape] = head_shapes(self.metadata)
        try:
            self._skip: bool = self.metadata["shape"].get("skip", False)
            self._distribution: bool = self.metadata["shape"].get("distribution", False)
            self._body = Forward(_within(self.tensors, "body."), start=self.tensors.get("state"), rounded=rounded)
            self._projector = _projector(self.tensors, self._body.width)
            self._wide = _wide(self.tensors)
            self._heads = {
                name: Head(_within(self.tensors, f"heads.{name}."), shape) for name, shape in self.heads.items()
            }
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path} does not hold the network that its header describes: {error}") from error

    def check_width(self, width: int) -> None:
        """Whether vectors of so many numbers are what the weights read.

        Raises:
            ValueError: they are not: the weights learned from what another version makes of a medium.
        """
        expected = self.metadata["shape"]["vector"]
        if width != expected:
            raise ValueError(
                f"{self._path} reads vectors of {expected} numbers, not of {width}: train the weights anew"
            )

    def __call__(self, sequences: Sequence[npt.NDArray[Any]], head: str) -> Ratings:
        """Ratings of B sequences, none empty, each of (T, V) float32 vectors or (T,) int64 token ids, by `head`.

        Raises:
            FloatingPointError: as `Ratings`.
        """
        return self.by_heads(sequences, [head])[head]

    def by_heads(
        self, sequences: Sequence[npt.NDArray[Any]], heads: Sequence[str], stretches: Numbers = NONE
    ) -> dict[str, Ratings]:
        """As a call, by several heads, for which the network reads the sequences but once.

        After the B ratings come those of `stretches` (S, 3) of them: row, first element and the one after the last,
        ascending by row. They are pooled from what the network made of the whole sequence: no second reading.
        """
        pooled = []
        for rows in _runs([len(one) for one in sequences]):
            first, last = np.searchsorted(stretches[:, 0], (rows[0], rows[-1] + 1))
            pooled.append(self._pooled([sequences[row] for row in rows], stretches[first:last] - (rows[0], 0, 0)))
        vectors = [*(whole for whole, _ in pooled), *(parts for _, parts in pooled)]
        together = np.concatenate((self._no_vectors, *vectors))
        cut = [sequences[row][start:end] for row, start, end in stretches.tolist()]
        wide = self._wide([*sequences, *cut], heads) if self._wide else {}
        return {head: self._ratings(together, head, wide.get(head)) for head in heads}

    @property
    def _no_vectors(self) -> Array:
        vectors = self._skip + STATISTICS * self._distribution
        return np.empty((0, 2 * self._body.width + vectors * self.metadata["shape"].get("vector", 0)), np.float32)

    def _ratings(self, pooled: Array, head: str, wide: Array | None) -> Ratings:
        shape = self.heads[head]
        probabilities, features = self._heads[head](pooled, wide)
        if shape.is_one_axis:
            probabilities = probabilities[:, 0]
        return Ratings(probabilities, features, decide(probabilities, shape.down_cost))

    def _pooled(self, sequences: Sequence[npt.NDArray[Any]], stretches: Numbers) -> tuple[Array, Array]:
        """(B, P) of sequences, and (S, P) of stretches of them."""
        inputs, offsets = np.concatenate(sequences), np.cumsum([0, *map(len, sequences)])
        skipped = [normalised(means(inputs, offsets))] if self._skip else []
        skipped += [normalised(distribution(inputs, offsets))] if self._distribution else []
        assert not (skipped and len(stretches)), "stretches are of sequences of tokens"
        if self._projector is not None:
            weight, bias = self._projector
            inputs = inputs @ weight + bias
        hidden = self._body(inputs, offsets)
        whole = np.concatenate((pool(hidden, offsets), *skipped), axis=1)
        if not len(stretches):
            return whole, whole[:0]
        return whole, pool_stretches(hidden, offsets[stretches[:, :1]] + stretches[:, 1:])


def pool(hidden: Array, offsets: npt.NDArray[np.int64]) -> Array:
    """(T, C) → (B, 2C): the last vector, which has read everything, beside the mean, which forgets nothing."""
    return np.concatenate((hidden[offsets[1:] - 1], means(hidden, offsets)), axis=1, dtype=np.float32)


def pool_stretches(hidden: Array, ends: Numbers) -> Array:
    """(T, C), and (S, 2) of first rows and those after the last → (S, 2C), as `pool` does it."""
    # Every second sum is of the rows between two stretches; the last row only gives the last end a place.
    sums = np.add.reduceat(np.pad(hidden, ((0, 1), (0, 0))), ends.ravel())[::2]
    return np.concatenate((hidden[ends[:, 1] - 1], sums / np.diff(ends)), axis=1, dtype=np.float32)


def means(elements: Array, offsets: npt.NDArray[np.int64]) -> Array:
    """(T, …) → (B, …): of each sequence."""
    lengths = np.diff(offsets)
    assert (lengths > 0).all(), "an empty sequence"
    return (np.add.reduceat(elements, offsets[:-1]) / lengths[:, None]).astype(np.float32)


def _projector(tensors: Mapping[str, Array], width: int) -> tuple[Array, Array] | None:
    """From vectors (V) to C, where the network takes vectors."""
    if "projector.weight" not in tensors:
        return None
    weight = tensors["projector.weight"].reshape(width, -1).T
    return np.ascontiguousarray(weight), tensors["projector.bias"].reshape(width)


def _wide(tensors: Mapping[str, Array]) -> Wide | None:
    """The linear half of text heads, where they have one."""
    if IDF not in tensors:
        return None
    return Wide(tensors[IDF], _within(tensors, HEADS), Vocabulary(tensors["vocabulary"].tolist()).spellings())


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
