"""What a stream carries from one token to the next: a fixed number of bytes, whatever came before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from capitoline.modalities.rwkv.size import Size


@dataclass(frozen=True, slots=True)
class State:
    """Carried state of B streams, float32 (float64 in a float64 model). `Size.state_bytes` is its size a stream.

    Legend: L = layers, B = streams, C = width, H = heads, N = head size.
    """

    time_shift: Tensor
    """(L, B, C): what the time mix last saw, after its layer norm."""
    channel_shift: Tensor
    """(L, B, C): what the channel mix last saw, after its layer norm."""
    wkv: Tensor
    """(L, B, H, N, N): the matrices, [value, key] as in the official files."""

    @staticmethod
    def zeros(
        size: Size, streams: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> State:
        """The state before the first token."""
        shift = torch.zeros(size.layers, streams, size.width, device=device, dtype=dtype)
        wkv = shift.new_zeros(size.layers, streams, size.heads, size.head_size, size.head_size)
        return State(shift, shift.clone(), wkv)

    @staticmethod
    def concatenate(states: Sequence[State]) -> State:
        """One state with the streams of all, in order."""
        return State(*(torch.cat(fields, dim=1) for fields in zip(*(one.tensors for one in states), strict=True)))

    @staticmethod
    def stack(layers: Sequence[tuple[Tensor, Tensor, Tensor]]) -> State:
        """From (time shift, channel shift, wkv) of each layer."""
        return State(*(torch.stack(fields) for fields in zip(*layers, strict=True)))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.time_shift, self.channel_shift, self.wkv

    @property
    def streams(self) -> int:
        return self.wkv.shape[1]

    def layer(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """(time shift, channel shift, wkv) of one layer."""
        return self.time_shift[index], self.channel_shift[index], self.wkv[index]

    def select(self, streams: Tensor | Sequence[int]) -> State:
        """A copy with these streams, in this order; repeat one to fork it."""
        index = torch.as_tensor(streams, dtype=torch.int64, device=self.wkv.device)
        return State(*(field.index_select(1, index) for field in self.tensors))

    def copy(self) -> State:
        """A float32 copy in main memory that shares nothing."""
        return State(*(field.detach().to("cpu", torch.float32, copy=True).contiguous() for field in self.tensors))
