"""What a decider says about many items at once, as arrays.

Legend:  N = items, K = labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from capitoline.modalities.feature_set import FeatureSet

NOT_RATED = -1
"""The severity of an item about which no expert had anything to say; never the mildest label."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Verdicts about N items."""

    severities: npt.NDArray[np.int64]
    """(N,), `NOT_RATED` where no expert rated."""
    probabilities: npt.NDArray[np.float32]
    """(N, K), rows summing to 1 (a voter's: shares of the ballots); zeros where not rated."""


def decided(severities: npt.NDArray[np.int64], probabilities: npt.NDArray[np.floating]) -> Decisions:
    """Those, and `NOT_RATED` where probabilities (N, K) are no numbers: the least of such is no verdict."""
    numbers = np.asarray(np.isfinite(probabilities).all(axis=1))
    shown = np.where(numbers[:, None], probabilities, 0).astype(np.float32)
    return Decisions(np.where(numbers, severities, NOT_RATED), shown)


class ArrayDecider(Protocol):
    """A strategy, ready to decide. Every one equals, item by item, the `Decider` that serves it."""

    @property
    def name(self) -> str: ...

    def decide(self, features: FeatureSet) -> Decisions: ...
