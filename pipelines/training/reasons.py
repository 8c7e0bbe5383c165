"""Reasons as a training target: after a text the trunk also learns to say why it has its label.

A reason says more than the label does (Ma et al., arXiv:2310.03400). RWKV reads from left to right, so
what is appended to a text changes no vector of the text itself, and the heads see what they would
see without it. The head that says the reason is never shipped.

Legend:  B = sequences, T = elements of all sequences, C = width of RWKV-7, V = tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capitoline.modalities.language.vocabulary import BEGIN, Tokens

_NONE = np.empty(0, np.int64)


class ReasonHead(nn.Module):
    """Hidden vectors (T, C) → logits of the next token (T, V)."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.tokens = nn.Linear(width, vocabulary, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.tokens(self.norm(hidden))
        return logits


@dataclass(frozen=True, slots=True)
class Said:
    """Sequences with the reasons of some appended, and where what lies."""

    sequences: list[Tokens]
    texts: Tensor
    """Places, among all elements, of those of the texts."""
    text_offsets: Tensor
    """(B+1,) among the texts' elements."""
    speaking: Tensor
    """Places of the vectors that say a token of a reason."""
    tokens: Tensor
    """The token that each of them should say."""
    weights: Tensor
    """What it counts: a reason's tokens together weigh its weight."""


def append(texts: Sequence[Tokens], reasons: Sequence[Tokens | None], weights: Sequence[float]) -> Said:
    """Each text, and after a `BEGIN` the reason where there is one; a second `BEGIN` would end it."""
    sequences, places, speaking, tokens, shares, begin = [], [], [_NONE], [_NONE], [_NONE.astype(np.float32)], 0
    for text, reason, weight in zip(texts, reasons, weights, strict=True):
        places.append(np.arange(begin, begin + len(text)))
        whole = text if reason is None else np.concatenate((text, [BEGIN], reason))
        if reason is not None:
            speaking.append(np.arange(begin + len(text), begin + len(whole)))
            tokens.append(np.concatenate((reason, [BEGIN])))
            shares.append(np.full(len(reason) + 1, weight / (len(reason) + 1), np.float32))
        sequences.append(whole)
        begin += len(whole)
    text_offsets = torch.tensor([0, *map(len, texts)]).cumsum(0)
    at, by, what, share = (torch.from_numpy(np.concatenate(one)) for one in (places, speaking, tokens, shares))
    return Said(sequences, at, text_offsets, by, what, share)


def reason_loss(head: ReasonHead, hidden: Tensor, said: Said) -> Tensor:
    """Sum over the reasons of their tokens' mean cross-entropy, by weight."""
    logits = head(hidden[said.speaking.to(hidden.device)].float())
    each = F.cross_entropy(logits, said.tokens.to(hidden.device), reduction="none")
    return (each * said.weights.to(hidden.device)).sum()
