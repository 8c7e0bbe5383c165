"""What the experts said about many items, as arrays: what fusion trains on and ablation decides from.

Legend:  N = items, K = labels, D = width of one expert's pre-logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

UNKNOWN = -1
"""The truth of an item that nobody labelled."""


@dataclass(frozen=True, slots=True)
class ExpertFeatures:
    """One expert's evidence about N items; where it did not rate, zeros."""

    name: str
    rated: npt.NDArray[np.bool_]
    """(N,)"""
    severities: npt.NDArray[np.int64]
    """(N,) its ballot."""
    probabilities: npt.NDArray[np.float32]
    """(N, K), rows summing to 1; certain of the ballot where the expert has no probabilities."""
    features: npt.NDArray[np.float32]
    """(N, D) pre-logits; D is 0 for an expert without."""
    unseen: npt.NDArray[np.bool_]
    """(N,) whether the weights that spoke had not been trained on this row."""
    seconds: npt.NDArray[np.float32]
    """(N,) CPU seconds."""
    weights: str = ""
    """Digest of the weights and tables that this expert serves with; empty if unknown."""

    def at(self, rows: npt.NDArray[np.int64]) -> ExpertFeatures:
        arrays = ("rated", "severities", "probabilities", "features", "unseen", "seconds")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """N items with what every expert said, experts in the order of their names."""

    labels: tuple[str, ...]
    items: npt.NDArray[np.str_]
    """(N,) ids."""
    truth: npt.NDArray[np.int64]
    """(N,) severities, or `UNKNOWN`."""
    splits: npt.NDArray[np.str_]
    """(N,) `train`, `val`, `test` or empty."""
    groups: npt.NDArray[np.str_]
    """(N,) what must not stand on two sides of a division, such as a film's title."""
    experts: tuple[ExpertFeatures, ...]

    def __post_init__(self) -> None:
        names = [one.name for one in self.experts]
        assert names == sorted(set(names)), names

    def __len__(self) -> int:
        return len(self.items)

    def at(self, rows: npt.NDArray[np.int64]) -> FeatureSet:
        """The items at positions `rows`."""
        return FeatureSet(
            self.labels,
            self.items[rows],
            self.truth[rows],
            self.splits[rows],
            self.groups[rows],
            tuple(one.at(rows) for one in self.experts),
        )

    def of_split(self, split: str) -> FeatureSet:
        return self.at(np.flatnonzero(self.splits == split))

    def only(self, names: Sequence[str]) -> FeatureSet:
        """With these experts alone.

        Raises:
            ValueError: one of them has no features here.
        """
        held = {one.name: one for one in self.experts}
        if missing := sorted(set(names) - held.keys()):
            raise ValueError(f"no features of {', '.join(missing)}; there are {', '.join(held)}")
        return replace(self, experts=tuple(held[name] for name in sorted(set(names))))
