"""Which implementation of the recurrence runs: chosen by device, dtype and head size at each call."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from capitoline.modalities.rwkv.chunked import chunked_time_mix
from capitoline.modalities.rwkv.compiled import compiled_time_mix, fits

Operator = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(r, w, k, v, a, b, offsets, state) → (y, state), as `naive_time_mix` documents."""


def time_mix(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The fastest operator that fits; same arguments and results as `naive_time_mix`."""
    return choose(r, state)(r, w, k, v, a, b, offsets, state)


def choose(r: Tensor, state: Tensor) -> Operator:
    """The operator for tensors like these."""
    if fits(r, state):
        return compiled_time_mix
    if r.device.type == "cuda" and find_spec("triton") and r.dtype != torch.float64:
        from capitoline.modalities.rwkv.triton_operator import triton_time_mix

        return triton_time_mix
    return chunked_time_mix
