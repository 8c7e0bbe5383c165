"""The numbers that fix the shape of an RWKV-7 model."""

from __future__ import annotations

import math
from dataclasses import dataclass


def default_rank(width: int, factor: float) -> int:
    """Rank of a low-rank projection in the official training code: about factor·√C, in steps of 32."""
    return max(32, round(factor * math.sqrt(width) / 32) * 32)


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of a model. Fields left at 0 take the value of the official training code.

    Raises:
        ValueError: the width is not a multiple of the head size, or there are no layers.
    """

    vocabulary: int
    """Token ids; 0 for a model that only takes vectors."""
    width: int
    """C, of the residual stream."""
    layers: int
    feed_forward: int = 0
    """Inner width of the channel mix; 0: four times the width."""
    head_size: int = 64
    """N, width of a head; the state of a head is an N × N matrix."""
    decay_rank: int = 0
    rate_rank: int = 0
    """Of the in-context learning rate, the files' a1 and a2."""
    value_rank: int = 0
    """Of the mix with the first layer's values, the files' v1 and v2."""
    gate_rank: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or self.layers < 1 or self.width % self.head_size:
            raise ValueError(f"width {self.width} must be a multiple of {self.head_size}, with at least one layer")
        defaults = {
            "feed_forward": 4 * self.width,
            "decay_rank": default_rank(self.width, 2.5),
            "rate_rank": default_rank(self.width, 2.5),
            "value_rank": default_rank(self.width, 1.7),
            "gate_rank": default_rank(self.width, 5.0),
        }
        for name, value in defaults.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)

    @property
    def heads(self) -> int:
        """H = C / N."""
        return self.width // self.head_size

    @property
    def state_bytes(self) -> int:
        """Bytes of one stream's state: per layer two shifts of C and H matrices of N × N, float32."""
        return 4 * self.layers * self.width * (2 + self.head_size)
