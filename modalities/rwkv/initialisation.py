"""The official initialisation of RWKV-7 (RWKV-LM, RWKV-v7/train_temp): without it a model trains, badly."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from capitoline.modalities.rwkv.size import Size

TIME_SHIFT_POWERS = {"x_r": 0.2, "x_w": 0.9, "x_k": 0.7, "x_v": 0.7, "x_a": 0.9, "x_g": 0.2}
"""The lower, the more the channels take from the token before; all take less of it in later layers."""


@torch.no_grad()
def initialise(tensors: Mapping[str, Tensor], size: Size) -> None:
    """Draw a model's state dict anew, in place. Norms other than `ln_x` keep PyTorch's 1 and 0."""
    for layer in range(size.layers):
        prefix = f"blocks.{layer}."
        block = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
        _vectors(block, size, layer)
        _matrices(block)
    if "emb.weight" in tensors:
        nn.init.uniform_(tensors["emb.weight"], -1e-4, 1e-4)
    if "head.weight" in tensors:
        _orthogonal(tensors["head.weight"], 0.5)


def _vectors(block: Mapping[str, Tensor], size: Size, layer: int) -> None:
    depth = layer / max(1, size.layers - 1)  # 0 in the first layer, 1 in the last
    height = 1 - layer / size.layers  # 1 in the first layer, 1/L in the last
    channel = torch.arange(size.width, dtype=torch.float32)
    linear = channel / max(1, size.width - 1) - 0.5
    zigzag = _zigzag(channel, size.head_size)
    for name, power in TIME_SHIFT_POWERS.items():
        _fill(block[f"att.{name}"], 1 - (channel / size.width) ** (power * height))
    _fill(block["att.w0"], -6 + 6 * (linear + 0.5) ** (1 + depth**0.3) + 0.5 + 2.5 * zigzag)
    _fill(block["att.a0"], -0.19 + 0.3 * zigzag + 0.4 * linear)
    _fill(block["att.v0"], 0.73 - 0.4 * linear)
    _fill(block["att.k_k"], 0.71 - 0.1 * linear)
    nn.init.constant_(block["att.k_a"], 1.02)
    nn.init.constant_(block["att.r_k"], -0.04)
    nn.init.constant_(block["att.ln_x.weight"], ((1 + layer) / size.layers) ** 0.7)
    _fill(block["ffn.x_k"], 1 - (channel / size.width) ** (height**4))


def _matrices(block: Mapping[str, Tensor]) -> None:
    for name in "wavg":
        nn.init.zeros_(block[f"att.{name}1"])
        _orthogonal(block[f"att.{name}2"], 0.1)
    nn.init.orthogonal_(block["att.receptance.weight"])
    nn.init.orthogonal_(block["att.key.weight"], gain=0.1)
    nn.init.orthogonal_(block["att.value.weight"])
    nn.init.zeros_(block["att.output.weight"])
    nn.init.orthogonal_(block["ffn.key.weight"])
    nn.init.zeros_(block["ffn.value.weight"])


def _zigzag(channel: Tensor, head_size: int) -> Tensor:
    """From -1 to 1 within each head, flat in the middle."""
    middle = max(1, head_size - 1) / 2
    position = (channel % head_size - middle) / middle
    return position * position.abs()


def _fill(tensor: Tensor, values: Tensor) -> None:
    tensor.copy_(values.view(tensor.shape))


def _orthogonal(tensor: Tensor, scale: float) -> None:
    rows, columns = tensor.shape
    nn.init.orthogonal_(tensor, gain=scale * math.sqrt(max(1.0, rows / columns)))
