"""A bidirectional LSTM, as text was classified before transformers.

Legend:  B = sequences, T = tokens of all sequences, C = width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence


class LstmBody(nn.Module):
    """Token ids → hidden vectors, half of each from the left and half from the right."""

    def __init__(self, vocabulary: int, width: int, layers: int) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.LSTM(width, width // 2, layers, bidirectional=True)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """(T,) and (B+1,) → (T, C)."""
        sequences = self.embedding(ids).split(offsets.diff().tolist())
        hidden: PackedSequence = self.layers(pack_sequence(sequences, enforce_sorted=False))[0]
        return torch.cat(unpack_sequence(hidden))
