"""The ordinal head: from a pooled vector to calibrated probabilities on an ordered scale.

Continuation ratios, the model that CORN trains (arXiv:2111.08851): logit k is the log-odds
that the severity is above k, given that it is at least k. The K-1 conditional decisions
multiply to a proper distribution over the K labels, whatever the logits are, so the loss is
simply its negative log-likelihood.

Legend:  B = batch, C = width of the pooled vector, D = width of the pre-logits, K = labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class OrdinalHead(nn.Module):
    """Pooled (B, C) → continuation-ratio logits (B, K-1) and pre-logits (B, D)."""

    temperature: Tensor

    def __init__(self, width: int, features: int, labels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.features = nn.Linear(width, features)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(features, labels - 1)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        features = F.gelu(self.features(self.dropout(self.norm(pooled))))
        return self.logits(self.dropout(features)) / self.temperature, features


def log_probabilities(logits: Tensor) -> Tensor:
    """(B, K-1) continuation-ratio logits → (B, K) log-probabilities, summing to 1 once exponentiated."""
    above = F.logsigmoid(logits).cumsum(-1)
    stays = F.logsigmoid(-logits)
    reached = F.pad(above[..., :-1], (1, 0))
    return torch.cat((reached + stays, above[..., -1:]), dim=-1)


def ordinal_loss(logits: Tensor, severities: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean negative log-likelihood of `severities` (B,) int64 under logits (B, K-1)."""
    chosen = log_probabilities(logits).gather(-1, severities[:, None]).squeeze(-1)
    return -(chosen * weights).sum() / weights.sum()


def class_weights(severities: npt.NDArray[np.int64], labels: int, balance: float) -> npt.NDArray[np.float32]:
    """(K,) weights that lift rare labels: frequency to the power -balance, with mean 1 over the examples.

    0 leaves the labels as they come, which keeps the probabilities honest; 1 makes every
    label count the same. A label that never occurs gets the weight 0.
    """
    counts = np.bincount(severities, minlength=labels).astype(np.float64)
    raw = np.where(counts > 0, np.maximum(counts, 1.0) ** -balance, 0.0)
    weights: npt.NDArray[np.float32] = (raw * counts.sum() / (raw * counts).sum()).astype(np.float32)
    return weights


def fit_temperature(logits: Tensor, severities: Tensor) -> float:
    """The divisor of `logits` (B, K-1) that makes `severities` (B,) likeliest (arXiv:1706.04599).

    A search over a fine geometric grid in 1/8 … 8: one number needs no optimiser, and the
    likelihood is smooth in it.
    """
    grid = torch.logspace(-3, 3, 241, base=2.0)
    ones = torch.ones(len(severities))
    losses = torch.stack([ordinal_loss(logits / temperature, severities, ones) for temperature in grid])
    return float(grid[losses.argmin()])
