"""Inference in 16 bits: all layers in one call of C++, whose working memory stays in the caches.

`engine.py` says the same layer by layer, for other types. Without PyTorch, for `forward.py`.

Legend: T = tokens, B = sequences, C = width, L = layers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.rwkv.library import kernels

Array = npt.NDArray[np.float32]

STEP = 16
"""Sizes of weights are multiples of this."""
DEPTH = 32
"""In bfloat16 the inputs are filled up to a multiple of this."""
TILE = 512
"""Tokens taken through all layers together: enough for the weights that come by, few enough for the caches."""


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer's, in the order of `Layer` in `layers.h`: first vectors, then matrices (outputs, inputs)."""

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
    v1: Array
    """As v2 (0, 0) in the first layer, which does not mix values."""
    v2: Array
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


class Kind(Enum):
    """How products are computed; the value names the kernels."""

    FIXED = "fixed"
    """16-bit fixed point, on processors with AVX2 and without AVX-512."""
    HALF = "half"
    """bfloat16, on processors that multiply it, by tiles where they have them (AMX)."""


class WholeLayers:
    """The layers of a model, packed.

    Raises:
        AttributeError: there are no kernels of this kind for this processor; see `available`.
    """

    def __init__(self, layers: Sequence[LayerWeights], heads: int, kind: Kind) -> None:
        self._library, self._kind = kernels(), kind
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
    def fit(layers: Sequence[LayerWeights], kind: Kind) -> bool:
        """Whether the kernels are here and every matrix's sizes are multiples of 16."""
        sides = [side for layer in layers for matrix in layer.parts[1] for side in matrix.shape]
        return available(kind) and not any(side % STEP for side in sides)

    def __call__(
        self, stream: Array, offsets: npt.NDArray[np.int64], states: Sequence[Array | None], threads: int = 1
    ) -> None:
        """Takes `stream` (T, C) and the states through the layers, in place.

        `states` are both shifts (L, B, C) and the matrices (L, B, H, N, N), or None: zeros, and not asked for after.
        """
        sizes = (TILE, len(offsets) - 1, self._heads)
        self._call("layers", self._layers, self._table, *sizes, offsets, stream, *states, threads=threads)

    def forgotten(self, sequences: int, width: int) -> list[Array | None]:
        """States for a call that begins at zero and whose states nobody asks for after."""
        return [*np.zeros((2, self._layers, sequences, width), np.float32), None]

    def _pack(self, matrix: Array) -> tuple[npt.NDArray[np.int16], Array]:
        outputs, inputs = matrix.shape
        if self._kind is Kind.HALF:
            inputs = -(-inputs // DEPTH) * DEPTH
        packed, scales = _aligned(outputs * inputs), np.empty(outputs, np.float32)
        self._call("pack", *matrix.shape, matrix, packed, scales, threads=1)
        return packed, scales

    def _keep(self, array: npt.NDArray[Any]) -> int:
        """Its address, valid as long as this object."""
        self._kept.append(array)
        return array.ctypes.data

    def _call(self, name: str, *arguments: npt.NDArray[Any] | int | None, threads: int) -> None:
        converted = [ctypes.c_int64(one) if isinstance(one, int) else _address(one) for one in arguments]
        getattr(self._library, f"{self._kind.value}_{name}")(*converted, ctypes.c_int(threads))


def available(kind: Kind) -> bool:
    """Whether there are kernels of this kind for this processor."""
    return hasattr(kernels(), f"{kind.value}_layers")


def _address(array: npt.NDArray[Any] | None) -> ctypes.c_void_p:
    assert array is None or array.flags.c_contiguous
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _aligned(count: int) -> npt.NDArray[np.int16]:
    """That begins at a whole line of the cache, as what the kernels load in lines should."""
    line = 64
    room = np.empty(2 * count + line, np.uint8)
    first = -room.ctypes.data % line
    return room[first : first + 2 * count].view(np.int16)


def best_kind() -> Kind | None:
    """What this processor gains by; None where float32 is all it has."""
    return next((kind for kind in (Kind.HALF, Kind.FIXED) if available(kind)), None)
