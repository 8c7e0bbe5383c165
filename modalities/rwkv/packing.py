"""Ragged batches: several sequences end to end in one stream of tokens, no padding.

Legend: T = tokens of all sequences, B = sequences, C = width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def pack(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids (T,) and offsets (B+1,) of sequences laid end to end."""
    lengths = torch.tensor([0, *(len(one) for one in sequences)], dtype=torch.int64)
    return torch.tensor([token for one in sequences for token in one], dtype=torch.int64), lengths.cumsum(0)


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the sequences of a packed batch begin and end. Sequences may be empty.

    Raises:
        ValueError: the offsets do not run from 0 to `tokens` without going back.
    """

    offsets: Tensor
    """(B+1,) int64."""
    tokens: int
    """T."""
    starts: Tensor
    """Index of the first token of each sequence that has one."""
    filled: Tensor
    """(B,) bool: sequences that have a token."""

    @staticmethod
    def of(offsets: Tensor, tokens: int) -> Packing:
        lengths = offsets.diff()
        if offsets.dtype != torch.int64 or offsets[0] != 0 or offsets[-1] != tokens or bool((lengths < 0).any()):
            raise ValueError(f"offsets must be int64 and rise from 0 to {tokens} tokens, not {offsets.tolist()[:8]}…")
        filled = lengths > 0
        return Packing(offsets, tokens, offsets[:-1][filled], filled)

    def shift(self, inputs: Tensor, previous: Tensor) -> Tensor:
        """(T, C): every token's predecessor in its sequence; `previous` (B, C) for the first ones."""
        shifted = torch.cat((inputs[:1], inputs[:-1]))
        return shifted.index_copy(0, self.starts, previous[self.filled].to(inputs.dtype))

    def last(self, inputs: Tensor, previous: Tensor) -> Tensor:
        """(B, C): the last token of each sequence; `previous` where it is empty."""
        ends = (self.offsets[1:] - 1).clamp(min=0)
        return torch.where(self.filled[:, None], inputs[ends].to(previous.dtype), previous)
