"""Small sets of evidence as arrays, and the same evidence item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from capitoline.modalities.feature_set import UNKNOWN, ExpertFeatures, FeatureSet
from capitoline.modalities.schema import Decoded, Evidence, Item, Modality, Outcome

LABELS = ("G", "PG", "PG-13", "R", "NC-17")
"""A scale whose names sort the other way."""


def ballots_only(casts: Sequence[Mapping[str, int]], labels: Sequence[str] = LABELS) -> FeatureSet:
    """Items about which experts gave ballots and nothing else."""
    names = sorted({name for cast in casts for name in cast})
    experts = [_certain(name, np.array([cast.get(name, -1) for cast in casts]), len(labels)) for name in names]
    return feature_set(experts, np.full(len(casts), UNKNOWN), labels)


def _certain(name: str, ballots: npt.NDArray[np.int64], labels: int) -> ExpertFeatures:
    rated = ballots >= 0
    probabilities = np.where(rated[:, None], np.eye(labels)[np.maximum(ballots, 0)], 0)
    return expert(name, probabilities.astype(np.float32), rated)


def expert(
    name: str,
    probabilities: npt.NDArray[np.float32],
    rated: npt.NDArray[np.bool_] | None = None,
    features: npt.NDArray[np.float32] | None = None,
    unseen: bool = True,
    weights: str = "",
) -> ExpertFeatures:
    """An expert whose ballot is its likeliest label."""
    count = len(probabilities)
    rated = np.ones(count, np.bool_) if rated is None else rated
    features = np.empty((count, 0), np.float32) if features is None else features
    return ExpertFeatures(
        name=name,
        rated=rated,
        severities=np.where(rated, probabilities.argmax(axis=1), 0),
        probabilities=np.where(rated[:, None], probabilities, np.float32(0)),
        features=np.where(rated[:, None], features, np.float32(0)),
        unseen=np.full(count, unseen),
        seconds=np.zeros(count, np.float32),
        weights=weights,
    )


def feature_set(
    experts: Sequence[ExpertFeatures], truth: npt.NDArray[np.int64], labels: Sequence[str] = LABELS
) -> FeatureSet:
    items = np.array([f"item-{row}" for row in range(len(truth))])
    splits = np.full(len(truth), "train")
    return FeatureSet(tuple(labels), items, truth, splits, items, tuple(experts))


def evidence_of(features: FeatureSet, row: int) -> list[Evidence]:
    """What the experts said about one item, as the graph hands it over."""
    return [_evidence(one, row) for one in features.experts]


def _evidence(one: ExpertFeatures, row: int) -> Evidence:
    if not one.rated[row]:
        return Evidence(one.name, Modality.TEXT, Outcome.ABSENT, reason="it has none")
    return Evidence(
        one.name,
        Modality.TEXT,
        Outcome.RATED,
        probabilities=tuple(one.probabilities[row].tolist()),
        severity=int(one.severities[row]),
        features=one.features[row] if one.features.shape[1] else None,
    )


def decoded(features: FeatureSet, row: int) -> Decoded:
    return Decoded(item=Item(id=str(features.items[row])), digest="00")
