"""The text trunk as a teacher's pupil, and the embedding it starts with.

Legend:  B = passages, T = tokens of all passages, V = kept tokens, C = width of the trunk,
         E = width of the teacher's vectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capitoline.modalities.language.vocabulary import BYTES, Tokens, Vocabulary
from capitoline.modalities.networks.sequence import RatingNetwork, Shape
from capitoline.modalities.rwkv.tokenizer import WorldTokenizer

EMBEDDING_SCALE = 0.1
"""Largest component of a token's first vector: far above AdamW's steps, so that training refines and does not erase."""


class Pupil(nn.Module):
    """Tokens → pooled (B, 2C) → a guess of the teacher's (B, E)."""

    def __init__(self, shape: Shape, teacher_width: int) -> None:
        super().__init__()
        self.network = RatingNetwork(shape, heads={})
        self.guess = nn.Linear(2 * shape.width, teacher_width)

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        guess: Tensor = self.guess(self.network(tokens, offsets))
        return guess


def cosine_loss(guess: Tensor, teacher: Tensor) -> Tensor:
    """1 - mean cosine of the angle between (B, E) guesses and the teacher's unit vectors."""
    return 1.0 - (F.normalize(guess, dim=-1) * teacher).sum(-1).mean()


def used_vocabulary(encoded: Sequence[Tokens], rarest: int) -> Vocabulary:
    """The World tokens that occur at least `rarest` times in `encoded`, which is in the whole vocabulary's rows."""
    counts = Counter(token for tokens in encoded for token in tokens.tolist())
    return Vocabulary(sorted(token for token, count in counts.items() if token > BYTES and count >= rarest))


def token_texts(vocabulary: Vocabulary) -> list[str]:
    """What each kept token of `vocabulary` says, to be read by a teacher."""
    tokenizer = WorldTokenizer()
    return [tokenizer.decode([int(world)]).strip() or "." for world in vocabulary.kept]


def start_embedding(network: RatingNetwork, token_vectors: npt.NDArray[np.float32]) -> None:
    """Give each kept token the C principal components of the teacher's vector of it.

    The bytes keep their official initialisation. LayerNorm follows the embedding, so only directions
    matter; the scale says how fast the learning rate turns them.
    """
    embedding = network.body.emb
    assert embedding is not None
    weight = embedding.weight
    centred = token_vectors - token_vectors.mean(0)
    width = weight.shape[1]
    _, directions = np.linalg.eigh(centred.T @ centred)
    parts = centred @ directions[:, ::-1][:, :width]
    scaled = parts / np.abs(parts).max() * EMBEDDING_SCALE
    with torch.no_grad():
        weight[BYTES + 1 :, : parts.shape[1]] = torch.from_numpy(np.ascontiguousarray(scaled, np.float32))
