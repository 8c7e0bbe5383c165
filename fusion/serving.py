"""A decider of many items, deciding one at a time as the graph asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capitoline.modalities.decisions import NOT_RATED, ArrayDecider
from capitoline.modalities.feature_set import UNKNOWN, ExpertFeatures, FeatureSet
from capitoline.modalities.schema import UNRATED, Decoded, Evidence, RatingScale, Verdict


class Serving:
    """The one `Decider` of every array decider: the same arithmetic, on one item."""

    def __init__(self, decider: ArrayDecider, scale: RatingScale) -> None:
        self.name = decider.name
        self._decider, self._scale = decider, scale

    def __call__(self, item: Decoded, evidence: Sequence[Evidence]) -> Verdict:
        decisions = self._decider.decide(features_of(item, evidence, self._scale))
        severity = int(decisions.severities[0])
        rated = severity != NOT_RATED
        return Verdict(
            item_id=item.item.id,
            digest=item.digest,
            rating=self._scale.label(severity) if rated else UNRATED,
            severity=severity if rated else None,
            rule=self.name,
            evidence=tuple(evidence),
            probabilities=tuple(decisions.probabilities[0].tolist()) if rated else (),
        )


def features_of(item: Decoded, evidence: Sequence[Evidence], scale: RatingScale) -> FeatureSet:
    """The evidence about one item as arrays; experts that did not rate are left out."""
    rated = sorted((one for one in evidence if one.severity is not None), key=lambda one: one.expert)
    return FeatureSet(
        labels=scale.labels,
        items=np.array([item.item.id]),
        truth=np.array([UNKNOWN]),
        splits=np.array([""]),
        groups=np.array([""]),
        experts=tuple(_expert_features(one, len(scale)) for one in rated),
    )


def _expert_features(evidence: Evidence, labels: int) -> ExpertFeatures:
    assert evidence.severity is not None
    probabilities = evidence.probabilities or np.eye(labels)[evidence.severity]
    features = np.empty(0) if evidence.features is None else evidence.features
    return ExpertFeatures(
        name=evidence.expert,
        rated=np.array([True]),
        severities=np.array([evidence.severity]),
        probabilities=np.array([probabilities], np.float32),
        features=np.array([features], np.float32),
        unseen=np.array([True]),
        seconds=np.array([evidence.seconds], np.float32),
    )
