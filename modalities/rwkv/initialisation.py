"""The official initialisation of RWKV-7 (RWKV-LM, RWKV-v7/train_temp): without it a model trains, badly.

`depth` runs from 0 in the first layer to 1 in the last, `height` from 1 down to 1/L.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from capitoline.modalities.rwkv.model import RWKV7, ChannelMix, TimeMix

TIME_SHIFT_POWERS = {"x_r": 0.2, "x_w": 0.9, "x_k": 0.7, "x_v": 0.7, "x_a": 0.9, "x_g": 0.2}


@torch.no_grad()
def initialise(model: RWKV7) -> None:
    """Draw every parameter anew."""
    layers = len(model.blocks)
    for layer, block in enumerate(model.blocks):
        _time_mix(block.att, layer / max(1, layers - 1), 1 - layer / layers, (1 + layer) / layers)
        _channel_mix(block.ffn, 1 - layer / layers)
    if model.emb is not None:
        nn.init.uniform_(model.emb.weight, -1e-4, 1e-4)
    if model.head is not None:
        vocabulary, width = model.head.weight.shape
        nn.init.orthogonal_(model.head.weight, gain=0.5 * math.sqrt(max(1.0, vocabulary / width)))


def _time_mix(mix: TimeMix, depth: float, height: float, norm: float) -> None:
    width, head_size = mix.k_k.numel(), mix.r_k.shape[1]
    channel = torch.arange(width, dtype=torch.float32)
    linear = channel / max(1, width - 1) - 0.5
    zigzag = _zigzag(channel, head_size)
    for name, power in TIME_SHIFT_POWERS.items():
        _fill(getattr(mix, name), 1 - (channel / width) ** (power * height))
    _fill(mix.w0, -6 + 6 * (linear + 0.5) ** (1 + depth**0.3) + 0.5 + 2.5 * zigzag)
    _fill(mix.a0, -0.19 + 0.3 * zigzag + 0.4 * linear)
    _fill(mix.v0, 0.73 - 0.4 * linear)
    for name in "wavg":
        nn.init.zeros_(getattr(mix, f"{name}1"))
        _orthogonal(getattr(mix, f"{name}2"), 0.1)
    _fill(mix.k_k, 0.71 - 0.1 * linear)
    nn.init.constant_(mix.k_a, 1.02)
    nn.init.constant_(mix.r_k, -0.04)
    nn.init.orthogonal_(mix.receptance.weight)
    nn.init.orthogonal_(mix.key.weight, gain=0.1)
    nn.init.orthogonal_(mix.value.weight)
    nn.init.zeros_(mix.output.weight)
    nn.init.constant_(mix.ln_x.weight, norm**0.7)


def _channel_mix(mix: ChannelMix, height: float) -> None:
    width = mix.x_k.numel()
    _fill(mix.x_k, 1 - (torch.arange(width, dtype=torch.float32) / width) ** (height**4))
    nn.init.orthogonal_(mix.key.weight)
    nn.init.zeros_(mix.value.weight)


def _zigzag(channel: Tensor, head_size: int) -> Tensor:
    """From -1 to 1 within each head, flat in the middle."""
    middle = max(1, head_size - 1) / 2
    position = (channel % head_size - middle) / middle
    return position * position.abs()


def _fill(parameter: Tensor, values: Tensor) -> None:
    parameter.copy_(values.view(parameter.shape))


def _orthogonal(parameter: Tensor, scale: float) -> None:
    rows, columns = parameter.shape
    nn.init.orthogonal_(parameter, gain=scale * math.sqrt(max(1.0, rows / columns)))
