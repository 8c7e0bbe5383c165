"""RWKV-7's forward pass without PyTorch: NumPy's matrix products and the compiled kernels.

`import torch` costs two seconds and 400 MB, more than a small network's whole work on one item.
Many threads, a carried state or a type of one's own choice are what `engine.py` is for.

Legend: T = tokens of all sequences, B = sequences, C = width, F = inner width of the channel mix,
        L = layers, H = heads, N = head size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.rwkv.steps import HEAD_SIZE, Array, Norm, Offsets, Projected, Steps, best_steps, sigmoid
from capitoline.modalities.rwkv.whole_layers import Kind, LayerWeights, WholeLayers, best_kind

Tensors = Mapping[str, Array]
"""By the names of the official files."""

MIXTURES = ("x_r", "x_w", "x_k", "x_v", "x_a", "x_g")
VECTORS = ("w0", "a0", "v0", "k_k", "k_a", "r_k", "ln_x.weight", "ln_x.bias")


class Forward:
    """A model of float32 tensors: equal to `RWKV7` within rounding.

    Args:
        tensors: those of an RWKV-7 model; `emb.weight` only if it takes token ids.
        choose: from head size and F to the steps between the products.
        start: (L, H, N, N), the state of each layer before every sequence; zeros if not given.
        rounded: multiply in 16 bits where the processor gains by it: in fixed point half as fast again and rounded to
            5·10⁻⁴, in bfloat16 several times as fast and rounded to 4·10⁻³.

    Raises:
        KeyError: a tensor is missing.
        ValueError: one has not the shape that the others ask for.
    """

    def __init__(
        self,
        tensors: Tensors,
        choose: Callable[[int, int], Steps] = best_steps,
        start: Array | None = None,
        *,
        rounded: bool = False,
    ) -> None:
        heads, head_size = tensors["blocks.0.att.r_k"].shape
        self.width = heads * head_size
        self._embedding = tensors["emb.weight"].reshape(-1, self.width) if "emb.weight" in tensors else None
        self._before = _norm(tensors, "blocks.0.ln0", self.width)
        self._after = _norm(tensors, "ln_out", self.width)
        count = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
        self._layers = [_Layer.of(tensors, f"blocks.{index}.", self.width) for index in range(count)]
        self._starts = [None] * count if start is None else list(start.reshape(count, heads, head_size, head_size))
        self._steps = choose(head_size, self._layers[0].up.shape[1])
        kind = best_kind() if rounded and head_size == HEAD_SIZE else None
        self._whole = self._together(heads, kind) if kind else None

    def __call__(self, inputs: npt.NDArray[Any], offsets: Offsets) -> Array:
        """As `RWKV7.forward`: (T,) token ids or (T, C) vectors, sequences end to end → hidden (T, C)."""
        assert offsets[0] == 0 and offsets[-1] == len(inputs) and (np.diff(offsets) >= 0).all(), offsets
        x = self._embed(inputs) if inputs.ndim == 1 else inputs
        assert x.shape == (len(inputs), self.width), x.shape
        added = np.zeros(x.shape, np.float32)
        stream = self._steps.add_norm(x.astype(np.float32, order="C"), added, self._before)
        if self._whole:
            self._whole(stream, offsets, self._states(self._whole, len(offsets) - 1))
            return self._steps.add_norm(stream, added, self._after)
        first_value = np.empty_like(stream)
        for layer, start in zip(self._layers, self._starts, strict=True):
            added = layer.time_mix(self._steps, stream, added, offsets, first_value, start)
            added = layer.channel_mix(self._steps, stream, added, offsets)
        return self._steps.add_norm(stream, added, self._after)

    def _together(self, heads: int, kind: Kind) -> WholeLayers | None:
        weights = [layer.weights() for layer in self._layers]
        return WholeLayers(weights, heads, kind) if WholeLayers.fit(weights, kind) else None

    def _states(self, whole: WholeLayers, sequences: int) -> list[Array | None]:
        """Shifts and matrices of all layers before each sequence; None where all matrices are zero."""
        *shifts, none = whole.forgotten(sequences, self.width)
        started = [start for start in self._starts if start is not None]
        return [*shifts, np.repeat(np.stack(started)[:, None], sequences, axis=1) if started else none]

    def _embed(self, tokens: npt.NDArray[Any]) -> Array:
        assert self._embedding is not None, "this model has no vocabulary"
        vectors: Array = self._embedding[tokens]
        return vectors


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights, as they are used: matrices from the left, (inputs, outputs)."""

    time_norm: Norm
    time_ratios: Array
    """(6, C), in the order of `MIXTURES`."""
    vectors: Array
    """(8, C), in the order of `VECTORS`."""
    matrices: Tensors
    """Without v1 and v2 in the first layer, which does not mix values."""
    channel_norm: Norm
    channel_ratios: Array
    """(1, C)."""
    up: Array
    down: Array

    @staticmethod
    def of(tensors: Tensors, prefix: str, width: int) -> _Layer:
        own = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
        first = prefix == "blocks.0."
        if first:  # missing from some files, and read by nothing
            own["att.v0"] = np.zeros(width, np.float32)
        up = own["ffn.key.weight"].reshape(-1, width)
        return _Layer(
            _norm(own, "ln1", width),
            np.stack([own[f"att.{name}"].reshape(width) for name in MIXTURES]),
            np.stack([own[f"att.{name}"].reshape(width) for name in VECTORS]),
            _matrices(own, width, first),
            _norm(own, "ln2", width),
            own["ffn.x_k"].reshape(1, width),
            np.ascontiguousarray(up.T),
            np.ascontiguousarray(own["ffn.value.weight"].reshape(width, len(up)).T),
        )

    def time_mix(
        self, steps: Steps, stream: Array, added: Array, offsets: Offsets, first_value: Array, start: Array | None
    ) -> Array:
        """Takes what the layer before added into the stream; returns what the time mix adds, (T, C)."""
        normed = steps.add_norm(stream, added, self.time_norm)
        xr, xw, xk, xv, xa, xg = steps.shift_mix(normed, offsets, self.time_ratios)
        matrix = self.matrices
        projected = Projected(
            r=xr @ matrix["receptance"],
            k=xk @ matrix["key"],
            v=xv @ matrix["value"],
            decay=np.tanh(xw @ matrix["w1"]) @ matrix["w2"],
            rate=xa @ matrix["a1"] @ matrix["a2"],
            value_gate=xv @ matrix["v1"] @ matrix["v2"] if "v1" in matrix else None,
            gate=sigmoid(xg @ matrix["g1"]) @ matrix["g2"],
        )
        result: Array = steps.time_mix(projected, self.vectors, offsets, first_value, start) @ matrix["output"]
        return result

    def weights(self) -> LayerWeights:
        """As the layers in fixed point are made of."""
        matrix = {name: one.T for name, one in self.matrices.items()} | {"up": self.up.T, "down": self.down.T}
        norms = self.time_norm, self.channel_norm
        (time_weight, time_bias), (channel_weight, channel_bias) = ((norm.weight, norm.bias) for norm in norms)
        return LayerWeights(
            time_weight, time_bias, self.time_ratios, self.vectors, channel_weight, channel_bias, self.channel_ratios,
            **dict.fromkeys(("v1", "v2"), np.empty((0, 0), np.float32)) | matrix,
        )  # fmt: skip

    def channel_mix(self, steps: Steps, stream: Array, added: Array, offsets: Offsets) -> Array:
        """As `time_mix`, for the channel mix."""
        normed = steps.add_norm(stream, added, self.channel_norm)
        inner = steps.shift_mix(normed, offsets, self.channel_ratios)[0] @ self.up
        steps.square(inner)
        result: Array = inner @ self.down
        return result


def _norm(tensors: Tensors, name: str, width: int) -> Norm:
    return Norm(tensors[f"{name}.weight"].reshape(width), tensors[f"{name}.bias"].reshape(width))


def _matrices(own: Tensors, width: int, first: bool) -> dict[str, Array]:
    """Every reshape is a check: the kernels trust the shapes."""
    square = ("receptance", "key", "value", "output")
    matrices = {name: own[f"att.{name}.weight"].reshape(width, width).T for name in square}
    for name in "wag" if first else "wavg":
        matrices[f"{name}1"] = inner = own[f"att.{name}1"].reshape(width, -1)
        matrices[f"{name}2"] = own[f"att.{name}2"].reshape(inner.shape[1], width)
    return {name: np.ascontiguousarray(matrix) for name, matrix in matrices.items()}
