"""What every fitted decider shares: the frame it was fitted in, and the rows that it may be fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from capitoline.modalities.decisions import NOT_RATED, Decisions, decided
from capitoline.modalities.feature_set import UNKNOWN, FeatureSet
from capitoline.modalities.networks.ordinal import decide

Tensors = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a decider was fitted for; with anything else its parameters mean nothing."""

    labels: tuple[str, ...]
    experts: Mapping[str, str]
    """Digest of the weights of each expert, by name in sorted order; empty if unknown."""
    down_cost: float
    """Cost of rating a level too mild, in costs of rating a level too severe."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.experts)

    def check(self, features: FeatureSet) -> None:
        """Raises ValueError for an expert or a scale that the decider was not fitted on."""
        if features.labels != self.labels:
            raise ValueError(f"fitted on {' < '.join(self.labels)}, asked about {' < '.join(features.labels)}")
        if strangers := sorted({one.name for one in features.experts} - self.experts.keys()):
            raise ValueError(
                f"fitted on {', '.join(self.names)}, which do not include {', '.join(strangers)}: what they saw would "
                "be ignored; fit anew with `capitoline fuse`, or remove them from `experts`"
            )


class FittedDecider(Protocol):
    """An `ArrayDecider` that a file can hold: `type(self)(frame, tensors)` is the same decider."""

    frame: Frame
    tensors: Tensors

    @property
    def name(self) -> str: ...

    def decide(self, features: FeatureSet) -> Decisions: ...


def frame_of(features: FeatureSet, down_cost: float) -> Frame:
    return Frame(features.labels, {one.name: one.weights for one in features.experts}, down_cost)


def rows_to_fit(features: FeatureSet) -> FeatureSet:
    """The labelled items that at least one expert rated.

    Raises:
        ValueError: there are none, or an expert rated a row that its weights were trained on.
    """
    for expert in features.experts:
        if seen := int((expert.rated & ~expert.unseen).sum()):
            raise ValueError(
                f"{seen} of {int(expert.rated.sum())} rows had been seen in the training of {expert.name!r}: it is "
                "surer there than it will ever be on new items, and a fusion fitted on them would trust it too much. "
                "Train the experts with `capitoline train --folds`, and make features with their folds"
            )
    rated = np.any([one.rated for one in features.experts], axis=0) if features.experts else np.zeros(len(features))
    rows = np.flatnonzero((features.truth != UNKNOWN) & rated.astype(bool))
    if not len(rows):
        raise ValueError(
            "no row of the split `train` that has a label and that an expert rated: there is nothing to fit on. "
            "Give `capitoline features` the columns: --label, and --split with train, val or test"
        )
    return features.at(rows)


def least_cost(probabilities: npt.NDArray[np.floating], rated: npt.NDArray[np.bool_], down_cost: float) -> Decisions:
    """Decisions of least expected cost under probabilities (N, K), for the items that any expert `rated` (N, E)."""
    anyone = np.asarray(rated.any(axis=1))
    shown = np.where(anyone[:, None], probabilities, 0).astype(np.float32)
    return decided(np.where(anyone, decide(shown, down_cost), NOT_RATED), shown)
