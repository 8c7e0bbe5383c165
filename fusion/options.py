"""The numbers by which deciders are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MlpOptions:
    """Numbers of `configs.fusion.MlpSettings`, which documents them."""

    width: int = 8
    hidden: int = 16
    dropout: float = 0.3
    missing: float = 0.2
    auxiliary: float = 0.3
    members: int = 3
    epochs: int = 20
    batch: int = 256
    rate: float = 3e-3
    decay: float = 0.1
    samples: int = 32


@dataclass(frozen=True, slots=True)
class Options:
    """What a strategy may need beside the rows."""

    seed: int = 0
    down_cost: float = 1.0
    """Cost of rating a level too mild, in costs of rating a level too severe; voter rules and mean know none."""
    ballot_weights: Mapping[str, float] = field(default_factory=dict)
    """Of the voter's rule `weighted`; 1 for an expert that is not named."""
    mlp: MlpOptions = MlpOptions()
