"""Inference in 16-bit fixed point: all layers in one call of C++, whose working memory stays in the caches.

`engine.py` says the same layer by layer, for other types. Without PyTorch, for `forward.py`.

Legend: T = tokens, B = sequences, C = width, L = layers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.rwkv.library import kernels

Array = npt.NDArray[np.float32]

STEP = 16
"""Sizes of weights are multiples of this."""


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer's, in the order of `Layer` in `fixed_layers.cpp`: first vectors, then matrices (outputs, inputs)."""

    time_weight: Array
    time_bias: Array
    time_ratios: Array
    """(6, C)."""
    vectors: Array
    """(8, C): w0, a0, v0, k_k, k_a, r_k and the group norm's weight and bias."""
    channel_weight: Array
    channel_bias: Array
    channel_ratios: Array
    receptance: Array
    w1: Array
    w2: Array
    key: Array
    value: Array
    """With v1 below, which reads the same mixture."""
    v2: Array
    """(0, 0) in the first layer, which does not mix values."""
    a1: Array
    a2: Array
    g1: Array
    g2: Array
    output: Array
    up: Array
    down: Array

    @property
    def parts(self) -> tuple[list[Array], list[Array]]:
        """Vectors and matrices."""
        every = [np.ascontiguousarray(getattr(self, one.name), np.float32) for one in fields(self)]
        return every[:7], every[7:]


class FixedLayers:
    """The layers of a model, packed."""

    def __init__(self, layers: Sequence[LayerWeights], heads: int) -> None:
        self._library = kernels()
        self._kept: list[npt.NDArray[Any]] = []
        table: list[int] = []
        for vectors, matrices in (layer.parts for layer in layers):
            table += [self._keep(vector) for vector in vectors]
            for matrix in matrices:
                packed, scales = self._pack(matrix)
                table += [self._keep(packed), self._keep(scales), *matrix.shape]
        self._table = np.array(table, np.int64)
        self._layers, self._heads = len(layers), heads

    @staticmethod
    def fit(layers: Sequence[LayerWeights]) -> bool:
        """Whether the kernels are here and every matrix's sizes are multiples of 16."""
        sides = [side for layer in layers for matrix in layer.parts[1] for side in matrix.shape]
        return hasattr(kernels(), "fixed_layers") and not any(side % STEP for side in sides)

    def __call__(
        self, stream: Array, offsets: npt.NDArray[np.int64], states: Sequence[Array], tile: int, threads: int
    ) -> Array:
        """Changes `stream` (T, C) and the states in place; what is yet to be added to the stream (T, C).

        `states` are both shifts (L, B, C) and the matrices (L, B, H, N, N). `tile` tokens go through all layers
        together.
        """
        added = np.zeros_like(stream)
        sizes = (tile, len(offsets) - 1, self._heads)
        self._call("fixed_layers", self._layers, self._table, *sizes, offsets, stream, added, *states, threads=threads)
        return added

    def _pack(self, matrix: Array) -> tuple[npt.NDArray[np.int16], Array]:
        packed, scales = np.empty(matrix.shape, np.int16), np.empty(len(matrix), np.float32)
        self._call("fixed_pack", *matrix.shape, matrix, packed, scales, threads=1)
        return packed, scales

    def _keep(self, array: npt.NDArray[Any]) -> int:
        """Its address, valid as long as this object."""
        self._kept.append(array)
        return array.ctypes.data

    def _call(self, name: str, *arguments: npt.NDArray[Any] | int, threads: int) -> None:
        assert all(isinstance(one, int) or one.flags.c_contiguous for one in arguments)
        converted = [
            ctypes.c_int64(one) if isinstance(one, int) else ctypes.c_void_p(one.ctypes.data) for one in arguments
        ]
        getattr(self._library, name)(*converted, ctypes.c_int(threads))
