"""Inference in 16-bit fixed point: all layers in one call of C++, whose working memory stays in the caches.

`engine.py` says the same layer by layer, for other types.

Legend: T = tokens, B = sequences, C = width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from capitoline.modalities.rwkv.compiled import call
from capitoline.modalities.rwkv.fixed import STEP, available, pack
from capitoline.modalities.rwkv.model import RWKV7, Block
from capitoline.modalities.rwkv.state import State


class FixedLayers:
    """The layers of a model, packed; later changes to it are not seen."""

    def __init__(self, model: RWKV7) -> None:
        self._kept: list[Tensor] = []
        table: list[int] = []
        for block in model.layers:
            vectors = _vectors(block)
            self._kept += vectors
            table += [vector.data_ptr() for vector in vectors]
            for weight in _weights(block):
                packed, scales = pack(weight) if weight.numel() else (weight, weight)
                self._kept += [packed, scales]
                table += [packed.data_ptr(), scales.data_ptr(), *weight.shape]
        self._table = torch.tensor(table, dtype=torch.int64)
        self._layers, self._heads = model.size.layers, model.size.heads

    @staticmethod
    def fits(model: RWKV7) -> bool:
        """Whether the kernels are here and every weight's sizes are multiples of 16."""
        weights = [weight for block in model.layers for weight in _weights(block)]
        return available() and not any(side % STEP for weight in weights for side in weight.shape)

    def __call__(self, stream: Tensor, offsets: Tensor, state: State, tile: int) -> Tensor:
        """Changes `stream` (T, C) and the state in place; what is yet to be added to the stream (T, C).

        `tile` tokens go through all layers together.
        """
        added = torch.zeros_like(stream)
        sizes = (tile, offsets.numel() - 1, self._heads)
        call("fixed_layers", self._layers, self._table, *sizes, offsets, stream, added, *state.tensors)
        return added


def _vectors(block: Block) -> list[Tensor]:
    """In the order of `Layer` in `fixed_layers.cpp`."""
    att = block.att
    vectors = (att.w0, att.a0, att.v0, att.k_k, att.k_a, att.r_k, att.ln_x.weight, att.ln_x.bias)
    packed = torch.stack([vector.flatten() for vector in vectors])
    found = [block.ln1.weight, block.ln1.bias, att.ratios, packed, block.ln2.weight, block.ln2.bias, block.ffn.x_k]
    return [one.detach().float().contiguous() for one in found]


def _weights(block: Block) -> list[Tensor]:
    """(outputs, inputs), in the order of `Layer`."""
    att, ffn = block.att, block.ffn
    value, v2 = att.value.weight, att.value.weight.new_empty(0, 0)
    if att.layer:
        # One product for the values and for the inner half of their gate, which read the same mixture.
        value, v2 = torch.cat((value, att.v1.t())), att.v2.t()
    found = (
        *(att.receptance.weight, att.w1.t(), att.w2.t(), att.key.weight, value, v2, att.a1.t(), att.a2.t()),
        *(att.g1.t(), att.g2.t(), att.output.weight, ffn.key.weight, ffn.value.weight),
    )
    return [one.detach().float() for one in found]
