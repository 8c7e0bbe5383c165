"""What stands between the matrix products of RWKV-7: in C++, and in NumPy where that is not compiled.

The same kernels as `engine.py` uses, in float32 and all sequences from one state, for whoever must not wait
for PyTorch to be imported.

Legend: T = tokens of all sequences, B = sequences, C = width, H = heads, N = head size, M = mixtures.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from capitoline.modalities.rwkv.library import kernels

Array = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]
"""(B+1,) where each sequence begins; the first is 0, the last T."""

HEAD_SIZE = 64
"""The only head size the kernels are compiled for; the official models have no other."""

LANES = 16
"""Floats that the kernels take at once."""

DECAY_SCALE = np.float32(-np.exp(-0.5))
"""The logarithm of the strongest decay a token can cause."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm's weight and bias, (C,) each."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Projected:
    """The projections of all tokens, (T, C) each, before their biases and gates."""

    r: Array
    k: Array
    v: Array
    decay: Array
    rate: Array
    value_gate: Array | None
    """None in the first layer, which does not mix values."""
    gate: Array


class Steps(Protocol):
    """All arrays are contiguous."""

    def add_norm(self, stream: Array, added: Array, norm: Norm) -> Array:
        """Adds to the stream (T, C) in place and returns its layer norm."""
        ...

    def shift_mix(self, normed: Array, offsets: Offsets, ratios: Array) -> Array:
        """(T, C) and ratios (M, C) → (M, T, C): each token mixed with the one before it in its sequence."""
        ...

    def time_mix(
        self, projected: Projected, vectors: Array, offsets: Offsets, first_value: Array, start: Array | None = None
    ) -> Array:
        """The gates, the recurrence, its group norm and the bonus: (T, C).

        Args:
            vectors: (8, C): w0, a0, v0, k_k, k_a, r_k and the group norm's weight and bias.
            first_value: (T, C), written by the first layer and read by the others.
            start: (H, N, N), the state before every sequence; zeros if not given.
        """
        ...

    def square(self, inner: Array) -> None:
        """relu(x)², in place."""
        ...


def best_steps(head_size: int, feed_forward: int) -> Steps:
    """The fastest that fit these sizes and this machine."""
    library = kernels()
    if library is None or head_size != HEAD_SIZE or feed_forward % LANES:
        return PlainSteps(head_size)
    return CompiledSteps(library)


class CompiledSteps:
    """In C++ (`kernels/inference.cpp`, `mixing.cpp`), on one thread."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def add_norm(self, stream: Array, added: Array, norm: Norm) -> Array:
        normed = np.empty_like(stream)
        self._call("add_norm", *stream.shape, stream, added, norm.weight, norm.bias, normed)
        return normed

    def shift_mix(self, normed: Array, offsets: Offsets, ratios: Array) -> Array:
        mixed = np.empty((len(ratios), *normed.shape), np.float32)
        before = np.zeros((len(offsets) - 1, normed.shape[1]), np.float32)
        self._call("shift_mix", len(before), *normed.shape, offsets, normed, before, len(ratios), ratios, mixed)
        return mixed

    def time_mix(
        self, projected: Projected, vectors: Array, offsets: Offsets, first_value: Array, start: Array | None = None
    ) -> Array:
        p, y = projected, np.empty_like(first_value)
        heads = first_value.shape[1] // HEAD_SIZE
        states = np.zeros((len(offsets) - 1, heads, HEAD_SIZE, HEAD_SIZE), np.float32)
        if start is not None:
            states += start
        columns = (p.r, p.k, p.v, p.decay, p.rate, p.value_gate, p.gate, first_value)
        self._call("time_mix_fused", len(states), heads, offsets, *columns, vectors, y, states)
        return y

    def square(self, inner: Array) -> None:
        self._call("squared_relu", inner.size, inner, None, inner)

    def _call(self, name: str, *arguments: npt.NDArray[Any] | int | None) -> None:
        converted = [ctypes.c_int64(one) if isinstance(one, int) else _pointer(one) for one in arguments]
        getattr(self._library, f"{name}_float32")(*converted, ctypes.c_int(1))


def _pointer(array: npt.NDArray[Any] | None) -> ctypes.c_void_p | None:
    if array is None:
        return None
    assert array.flags.c_contiguous and array.dtype in (np.float32, np.int64), (array.strides, array.dtype)
    return ctypes.c_void_p(array.ctypes.data)


class PlainSteps:
    """In NumPy, word for word as `model.py` and `naive.py` have them."""

    def __init__(self, head_size: int) -> None:
        self._head_size = head_size

    def add_norm(self, stream: Array, added: Array, norm: Norm) -> Array:
        stream += added
        return normalised(stream, 1e-5) * norm.weight + norm.bias

    def shift_mix(self, normed: Array, offsets: Offsets, ratios: Array) -> Array:
        before = np.concatenate((normed[:1], normed[:-1]))
        before[offsets[:-1][np.diff(offsets) > 0]] = 0.0
        return (normed + (before - normed) * ratios[:, None]).astype(np.float32, copy=False)

    def time_mix(
        self, projected: Projected, vectors: Array, offsets: Offsets, first_value: Array, start: Array | None = None
    ) -> Array:
        w0, a0, v0, k_k, k_a, r_k, weight, bias = vectors
        r, k, v = projected.r, projected.k, projected.v
        if projected.value_gate is None:
            first_value[:] = v
        else:
            v = v + (first_value - v) * sigmoid(v0 + projected.value_gate)
        decay, rate = np.exp(DECAY_SCALE * sigmoid(w0 + projected.decay)), sigmoid(a0 + projected.rate)
        removal = self._heads(k * k_k)
        removal = removal / np.maximum(np.sqrt(np.square(removal).sum(-1, keepdims=True)), 1e-12)
        k = k * (1 + (rate - 1) * k_a)
        bonus = self._heads(r * k * r_k).sum(-1, keepdims=True) * self._heads(v)
        r_heads, decay, k, v, rate = (self._heads(one) for one in (r, decay, k, v, rate))
        y = _recur(r_heads, decay, k, v, -removal, removal * rate, offsets, start)
        normed = normalised(y, 64e-5).reshape(r.shape) * weight + bias
        result: Array = (normed + bonus.reshape(r.shape)) * projected.gate
        return result

    def square(self, inner: Array) -> None:
        np.square(np.maximum(inner, 0.0, out=inner), out=inner)

    def _heads(self, x: npt.NDArray[Any]) -> Array:
        return x.reshape(len(x), -1, self._head_size)


def sigmoid(x: Array) -> Array:
    """By the hyperbolic tangent, which cannot overflow."""
    result: Array = (0.5 + 0.5 * np.tanh(0.5 * x)).astype(np.float32)
    return result


def normalised(x: Array, epsilon: float = 1e-5) -> Array:
    """Rows of mean 0 and variance 1: LayerNorm without weights."""
    centred = x - x.mean(-1, keepdims=True)
    variance = np.square(centred).mean(-1, keepdims=True)
    result: Array = (centred / np.sqrt(variance + epsilon)).astype(np.float32)
    return result


def _recur(
    r: Array, decay: Array, k: Array, v: Array, a: Array, b: Array, offsets: Offsets, initial: Array | None
) -> Array:
    """The recurrence of `naive.py`, (T, H, N) each; the decay is ready to multiply by."""
    y = np.empty_like(v)
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        state = np.zeros((*v.shape[1:], v.shape[2]), np.float32) if initial is None else initial
        for token in range(start, end):
            removed = (state @ a[token, :, :, None]) * b[token, :, None, :]
            state = state * decay[token, :, None, :] + removed + v[token, :, :, None] * k[token, :, None, :]
            y[token] = (state @ r[token, :, :, None])[..., 0]
    return y
