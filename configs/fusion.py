"""The configuration of fitting a decider: `capitoline fuse FEATURES --config FILE`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capitoline.configs.settings import Strict

FittedStrategy = Literal["mlp", "stacking", "weighted_vote", "dawid_skene", "calibrated_most_severe"]


class MlpSettings(Strict):
    """Sizes and training of the fusion network."""

    width: int = Field(default=8, gt=0)
    """Of an expert's adapter."""
    hidden: int = Field(default=16, gt=0)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    missing: float = Field(default=0.2, ge=0, lt=1)
    """Share of the experts' ratings hidden at random in training, so that any subset can rate."""
    auxiliary: float = Field(default=0.3, ge=0)
    """Weight of the loss of each adapter rating alone, beside that of all together."""
    members: int = Field(default=3, ge=1)
    """Networks whose log-odds are averaged; each chooses its epoch on another part of the rows."""
    epochs: int = Field(default=20, gt=0)
    batch: int = Field(default=256, gt=0)
    rate: float = Field(default=3e-3, gt=0)
    """Peak learning rate; it falls along a cosine."""
    decay: float = Field(default=0.1, ge=0)
    samples: int = Field(default=32, ge=1)
    """Ratings kept of every expert, over which the decider averages where that expert is missing."""


class Fusing(Strict):
    """Which decider is fitted to stored features, and how."""

    strategy: FittedStrategy = "mlp"
    experts: tuple[str, ...] = ()
    """Experts that it listens to; if empty, all in the features."""
    seed: int = 0
    down_cost: float = Field(default=1.2, gt=0)
    """Cost of rating a level too mild, in costs of rating a level too severe."""
    mlp: MlpSettings = MlpSettings()
