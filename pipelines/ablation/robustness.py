"""Evidence that went wrong, made from stored evidence: an expert dropped, mistaken, or contradicting the rest.

All of it is synthetic and is called so: it shows what a decider does with such evidence, and
says nothing of how often such evidence occurs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from capitoline.modalities.feature_set import ExpertFeatures, FeatureSet

Rows = npt.NDArray[np.int64]

CONFLICT = 2
"""Levels between the two truths of a contradiction: what the product calls a disagreement."""


class Fault(StrEnum):
    DROPPED = "dropped"
    """The expert rates nothing."""
    NOISED = "noised"
    """For a share of the rows, the expert speaks of another row, drawn at random."""
    CONTRADICTED = "contradicted"
    """In every row the expert speaks of a row at least two levels away: a PG picture with an X caption."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Clean, or one expert with one fault."""

    fault: Fault | None = None
    expert: str = ""

    @property
    def name(self) -> str:
        return f"{self.expert} {self.fault}" if self.fault else "clean"


CLEAN = Condition()


def conditions(experts: tuple[str, ...]) -> list[Condition]:
    """Every fault of every expert, after the clean one."""
    return [CLEAN, *(Condition(fault, expert) for fault in Fault for expert in experts)]


def applied(condition: Condition, features: FeatureSet, noise: float, seed: int) -> FeatureSet:
    """`features` as they would be in `condition`; a contradiction leaves out rows that nothing contradicts.

    A contradicted item is as severe as its more severe half: that is its truth.
    """
    random = np.random.default_rng(seed)
    rows = np.arange(len(features))
    if condition.fault is None:
        return features
    if condition.fault is Fault.DROPPED:
        return _with(features, _silent(_expert(features, condition.expert)))
    if condition.fault is Fault.NOISED:
        strangers = np.where(random.random(len(rows)) < noise, random.permutation(rows), rows)
        return _with(features, _expert(features, condition.expert).at(strangers))
    rows, partners = _conflicts(features.truth, random)
    kept = features.at(rows)
    truth = np.maximum(kept.truth, features.truth[partners])
    other = _expert(features, condition.expert).at(partners)
    return _with(replace(kept, truth=truth), other)


def _conflicts(truth: Rows, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows, and for each a row at random whose truth is `CONFLICT` levels away or more."""
    partners = {level: np.flatnonzero(abs(truth - level) >= CONFLICT) for level in np.unique(truth).tolist()}
    rows = np.flatnonzero([len(partners[level]) > 0 for level in truth.tolist()])
    return rows, np.array([random.choice(partners[int(truth[row])]) for row in rows], np.int64)


def _expert(features: FeatureSet, name: str) -> ExpertFeatures:
    return next(one for one in features.experts if one.name == name)


def _with(features: FeatureSet, changed: ExpertFeatures) -> FeatureSet:
    experts = tuple(changed if one.name == changed.name else one for one in features.experts)
    return replace(features, experts=experts)


def _silent(expert: ExpertFeatures) -> ExpertFeatures:
    arrays = ("rated", "severities", "probabilities", "features")
    return replace(expert, **{name: np.zeros_like(getattr(expert, name)) for name in arrays})
