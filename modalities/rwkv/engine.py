"""Inference, fused: per layer thirteen matrix products and four kernels, over tiles of tokens that stay in the cache.

In 16 bits all of it is one call (`whole_layers.py`).

Legend: T = tokens of a tile, B = sequences in it, C = width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from capitoline.modalities.rwkv.compiled import HEAD_SIZE, SYMBOLS, call
from capitoline.modalities.rwkv.fixed import FIXED
from capitoline.modalities.rwkv.library import operator_available
from capitoline.modalities.rwkv.model import RWKV7, Block
from capitoline.modalities.rwkv.packing import Packing
from capitoline.modalities.rwkv.products import Product, best_dtype, product_of
from capitoline.modalities.rwkv.state import State
from capitoline.modalities.rwkv.whole_layers import Kind, LayerWeights, WholeLayers

KINDS = {FIXED: Kind.FIXED, torch.bfloat16: Kind.HALF}
"""Types of products whose layers may be one call."""
TILE = 256
"""Tokens taken through all layers together, layer by layer: enough for the products, few enough for the caches."""


class Engine:
    """A model's forward pass without gradients: the same results, several times faster on a CPU.

    Where the kernels cannot be used (none compiled, another head size) it is the model itself.

    Args:
        model: its weights are copied; later changes to it are not seen.
        dtype: of matrix products: bfloat16, float32 or int16, which is fixed point (see `products.py`);
            the best for this processor if not given. Norms, gates and states are always float32.
            By tiles (AMX) a text fed in pieces gives what it gives whole to the bit if it is cut at multiples of
            sixteen tokens, and within bfloat16's rounding elsewhere; in other 16 bits to the bit anywhere.
    """

    def __init__(self, model: RWKV7, dtype: torch.dtype | None = None) -> None:
        self.size = model.size
        self.dtype = dtype or best_dtype()
        self._model = model.eval()
        self.fused = operator_available() and self.size.head_size == HEAD_SIZE and self.size.feed_forward % 16 == 0
        self._whole = _whole(model, self.dtype) if self.fused else None
        taken = self.fused and not self._whole
        self._layers = [_Layer.of(block, self.dtype) for block in model.layers] if taken else []

    @torch.no_grad()
    def hidden(self, inputs: Tensor, offsets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `RWKV7.forward`: (T, C) float32 after the last norm, and the state after each sequence."""
        if not self.fused:
            return self._model(inputs, offsets, state)  # type: ignore[no-any-return]
        Packing.of(offsets, inputs.shape[0])
        streams = offsets.numel() - 1
        state = State.zeros(self.size, streams) if state is None else state.copy()
        if self._whole:
            stream = self._embed(inputs)
            states = [one.numpy() for one in state.tensors]
            self._whole(stream.numpy(), offsets.numpy(), states, torch.get_num_threads())
            return self._normed(stream), state
        hidden = torch.empty(inputs.shape[0], self.size.width)
        for tile in _tiles(offsets):
            hidden[tile.tokens] = self._tile(inputs[tile.tokens], tile, state)
        return hidden, state

    @torch.no_grad()
    def features(self, inputs: Tensor, offsets: Tensor) -> Tensor:
        """`hidden` of whole texts, for whoever wants no state: where all layers are one call none is made, which in
        short texts is a good part of the work."""
        if not self._whole:
            return self.hidden(inputs, offsets)[0]
        Packing.of(offsets, inputs.shape[0])
        stream = self._embed(inputs)
        states = self._whole.forgotten(offsets.numel() - 1, self.size.width)
        self._whole(stream.numpy(), offsets.numpy(), states, torch.get_num_threads())
        return self._normed(stream)

    def _tile(self, inputs: Tensor, tile: _Tile, state: State) -> Tensor:
        """Takes one tile through all layers; updates the states of its sequences in place."""
        stream = self._embed(inputs)
        first_value = torch.empty(stream.shape, dtype=self._layers[0].dtype)
        added = torch.zeros_like(first_value)
        for index, layer in enumerate(self._layers):
            time_shift, channel_shift, wkv = (one[tile.sequences] for one in state.layer(index))
            mixed = layer.mix(layer.time, stream, added, tile.offsets, time_shift)
            added = layer.time_mix(mixed, first_value, tile.offsets, wkv)
            mixed = layer.mix(layer.channel, stream, added, tile.offsets, channel_shift)
            added = layer.channel_mix(mixed[0])
        return self._normed(stream + added)

    def _embed(self, inputs: Tensor) -> Tensor:
        """The stream (T, C) that the first layer takes."""
        x = self._model.embed(inputs) if inputs.ndim == 1 else inputs
        stream: Tensor = self._model.layers[0].ln0(x.float())
        return stream

    def _normed(self, stream: Tensor) -> Tensor:
        hidden: Tensor = self._model.ln_out(stream)
        return hidden


@dataclass(frozen=True, slots=True)
class _Tile:
    """Some tokens that follow one another, and the sequences that have tokens among them."""

    tokens: slice
    sequences: slice
    offsets: Tensor
    """(B+1,) within the tile."""


def _tiles(offsets: Tensor) -> Iterator[_Tile]:
    total = int(offsets[-1])
    for begin in range(0, total, TILE):
        end = min(begin + TILE, total)
        first = int(torch.searchsorted(offsets, begin, right=True)) - 1
        last = int(torch.searchsorted(offsets, end))
        yield _Tile(slice(begin, end), slice(first, last), offsets[first : last + 1].clamp(begin, end) - begin)


@dataclass(frozen=True, slots=True)
class _Mix:
    """What stands before a layer's products: its norm and the ratios of the token shift."""

    weight: Tensor
    bias: Tensor
    ratios: Tensor
    """(M, C), one row for each mixture."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights, packed."""

    dtype: torch.dtype
    """Of what goes into the products and comes out of them."""
    time: _Mix
    channel: _Mix
    vectors: Tensor
    """(8, C): w0, a0, v0, k_k, k_a, r_k and the group norm's weight and bias, as the kernel wants them."""
    products: dict[str, Product]

    @staticmethod
    def of(block: Block, dtype: torch.dtype) -> _Layer:
        att, ffn = block.att, block.ffn
        vectors = (att.w0, att.a0, att.v0, att.k_k, att.k_a, att.r_k, att.ln_x.weight, att.ln_x.bias)
        gates = "wavg" if att.layer else "wag"  # the first layer does not mix values
        products = {f"{name}{step}": getattr(att, f"{name}{step}").t() for name in gates for step in (1, 2)}
        products |= {name: getattr(att, name).weight for name in ("receptance", "key", "value", "output")}
        products |= {"up": ffn.key.weight, "down": ffn.value.weight}
        ratios = torch.stack([getattr(att, f"x_{name}").flatten() for name in "rwkvag"])
        return _Layer(
            torch.float32 if dtype == FIXED else dtype,
            _Mix(_float(block.ln1.weight), _float(block.ln1.bias), _float(ratios)),
            _Mix(_float(block.ln2.weight), _float(block.ln2.bias), _float(ffn.x_k.view(1, -1))),
            _float(torch.stack([vector.flatten() for vector in vectors])),
            {name: product_of(weight, dtype) for name, weight in products.items()},
        )

    def mix(self, mix: _Mix, stream: Tensor, added: Tensor, offsets: Tensor, shift: Tensor) -> Tensor:
        """Adds to the stream (T, C) in place, norms it and mixes each token with the one before: (M, T, C)."""
        tokens, width = stream.shape
        normed = torch.empty(tokens, width)
        mixed = torch.empty(len(mix.ratios), tokens, width, dtype=self.dtype)
        self._call("add_norm", tokens, width, stream, added, mix.weight, mix.bias, normed)
        sizes = (offsets.numel() - 1, tokens, width)
        self._call("shift_mix", *sizes, offsets, normed, shift, len(mix.ratios), mix.ratios, mixed)
        return mixed

    def time_mix(self, mixed: Tensor, first_value: Tensor, offsets: Tensor, wkv: Tensor) -> Tensor:
        """From the six mixtures (6, T, C) to what the time mix adds (T, C); `wkv` moves on in place."""
        product = self.products
        xr, xw, xk, xv, xa, xg = mixed
        r, k, v = product["receptance"](xr), product["key"](xk), product["value"](xv)
        decay = product["w2"](product["w1"](xw).tanh_())
        rate = product["a2"](product["a1"](xa))
        gate = product["g2"](product["g1"](xg).sigmoid_())
        value_gate = product["v2"](product["v1"](xv)) if "v1" in product else None
        y = torch.empty_like(r)
        projected = (r, k, v, decay, rate, value_gate, gate, first_value)
        sizes = (offsets.numel() - 1, wkv.shape[1])
        self._call("time_mix_fused", *sizes, offsets, *projected, self.vectors, y, wkv)
        return product["output"](y)

    def channel_mix(self, mixed: Tensor) -> Tensor:
        """(T, C) → what the channel mix adds (T, C)."""
        inner = self.products["up"](mixed)
        self._call("squared_relu", inner.numel(), inner, None, inner)
        return self.products["down"](inner)

    def _call(self, name: str, *arguments: Tensor | int | None) -> None:
        call(f"{name}_{SYMBOLS[self.dtype]}", *arguments)


def _whole(model: RWKV7, dtype: torch.dtype) -> WholeLayers | None:
    """The layers in one call, if there are kernels of this type that fit them."""
    if dtype not in KINDS:
        return None
    weights = [_weights(block) for block in model.layers]
    return WholeLayers(weights, model.size.heads, KINDS[dtype]) if WholeLayers.fit(weights, KINDS[dtype]) else None


def _weights(block: Block) -> LayerWeights:
    """The same for `WholeLayers`, not packed."""
    att, ffn = block.att, block.ffn
    vectors = (att.w0, att.a0, att.v0, att.k_k, att.k_a, att.r_k, att.ln_x.weight, att.ln_x.bias)
    packed = torch.stack([vector.flatten() for vector in vectors])
    v1, v2 = (att.v1.t(), att.v2.t()) if att.layer else att.v1.new_empty(2, 0, 0)
    found = (
        *(block.ln1.weight, block.ln1.bias, att.ratios, packed, block.ln2.weight, block.ln2.bias, ffn.x_k),
        *(att.receptance.weight, att.w1.t(), att.w2.t(), att.key.weight, att.value.weight, v1, v2),
        *(att.a1.t(), att.a2.t(), att.g1.t(), att.g2.t(), att.output.weight, ffn.key.weight, ffn.value.weight),
    )
    return LayerWeights(*(_float(one).numpy() for one in found))


def _float(tensor: Tensor) -> Tensor:
    return tensor.detach().float().contiguous()
