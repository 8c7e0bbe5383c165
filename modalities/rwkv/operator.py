"""Which implementation of the recurrence runs: chosen by device and dtype at each call."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from capitoline.modalities.rwkv.chunked import chunked_time_mix

Operator = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(r, w, k, v, a, b, offsets, state) → (y, state), as `naive_time_mix` documents."""


def time_mix(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The fastest operator that fits; same arguments and results as `naive_time_mix`."""
    return chunked_time_mix(r, w, k, v, a, b, offsets, state)
