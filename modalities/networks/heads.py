"""The ordinal head: from a pooled vector to calibrated probabilities on A axes of K ordered levels.

What its logits mean is the link of the loss that taught it; see `losses.py`. What serves with the
trained head is `ordinal.py`.

Legend:  B = batch, C = width of the pooled vector, D = width of the pre-logits, A = axes, K = levels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capitoline.modalities.networks.losses import UNKNOWN, penalties
from capitoline.modalities.networks.ordinal import HeadShape


class OrdinalHead(nn.Module):
    """Pooled (B, C) → logits (B, A, K-1) and pre-logits (B, D)."""

    temperature: Tensor
    linear: Tensor | None
    """(A × (K-1), V), on the last V of the C, where a linear half was fitted (`pipelines.training.linear_fit`)."""

    def __init__(self, width: int, features: int, shape: HeadShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        axes, steps = len(shape.axes), len(shape.levels) - 1
        self.norm = nn.LayerNorm(width)
        self.features = nn.Linear(width, features)
        self.dropout = nn.Dropout(dropout)
        if shape.link == "cumulative":
            self.logits = nn.Linear(features, axes, bias=False)
            self.thresholds = nn.Parameter(torch.zeros(axes, steps))
        else:
            self.logits = nn.Linear(features, axes * steps)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("linear", None)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        features = F.gelu(self.features(self.dropout(self.norm(pooled))))
        logits = self.logits(self.dropout(features))
        if self.linear is not None:
            logits = logits + F.linear(pooled[:, -self.linear.shape[1] :], self.linear)
        return self._steps(logits) / self.temperature, features

    def _steps(self, out: Tensor) -> Tensor:
        """(B, A × (K-1)), or (B, A) scores that are held against thresholds, as (B, A, K-1)."""
        axes, steps = len(self.shape.axes), len(self.shape.levels) - 1
        if self.shape.link != "cumulative":
            return out.view(-1, axes, steps)
        gaps = F.softplus(self.thresholds[:, 1:])
        return out[:, :, None] - torch.cat((self.thresholds[:, :1], gaps), dim=1).cumsum(1)


def class_weights(severities: npt.NDArray[np.int64], labels: int, balance: float) -> npt.NDArray[np.float32]:
    """(K,) weights that lift rare labels: frequency to the power -balance, with mean 1 over the known severities.

    0 leaves the labels as they come, which keeps the probabilities honest; 1 makes every
    label count the same. A label that never occurs gets the weight 0.
    """
    counts = np.bincount(severities[severities >= 0], minlength=labels).astype(np.float64)
    raw = np.where(counts > 0, np.maximum(counts, 1.0) ** -balance, 0.0)
    weights: npt.NDArray[np.float32] = (raw * counts.sum() / max((raw * counts).sum(), 1e-12)).astype(np.float32)
    return weights


def fit_temperature(logits: Tensor, severities: Tensor, loss: str = "corn") -> float:
    """The divisor of `logits` (…, K-1) that makes the known `severities` (…) likeliest (arXiv:1706.04599).

    A search over a fine geometric grid in 1/8 … 8: one number needs no optimiser, and the
    likelihood is smooth in it.
    """
    # Of the two losses with a softmax, only this one is a likelihood; a temperature must not be fitted to soft labels.
    score = "cross_entropy" if loss == "soft" else loss
    known = severities != UNKNOWN
    if not known.any():
        return 1.0
    grid = torch.logspace(-3, 3, 241, base=2.0, device=logits.device)
    losses = torch.stack([penalties(score, logits[known] / one, severities[known]).mean() for one in grid])
    return float(grid[losses.argmin()])
