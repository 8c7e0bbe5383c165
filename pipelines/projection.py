"""Experts trained on one scale, rating on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from capitoline.modalities.schema import Decoded, Evidence, Expert, RatingScale, Span


def positions(trained: RatingScale, scale: RatingScale, mapping: Mapping[str, str]) -> tuple[int, ...]:
    """For each label of `trained`, its severity on `scale`: by `mapping`, or by equal scales.

    Raises:
        ValueError: the scales differ without a mapping, a label is missing from it, or it reverses the order.
    """
    if not mapping and trained != scale:
        raise ValueError(
            f"the weights rate on {' < '.join(trained.labels)}, the configuration on {' < '.join(scale.labels)}: "
            "give `scale_from` in the configuration, or train weights on your scale"
        )
    missing = [label for label in trained.labels if mapping and label not in mapping]
    if missing:
        raise ValueError(f"`scale_from` must say where every label of the weights goes; missing: {', '.join(missing)}")
    found = tuple(scale.severity(mapping.get(label, label)) for label in trained.labels)
    if list(found) != sorted(found):
        raise ValueError("`scale_from` reverses the order of the labels")
    return found


class Projected:
    """An expert whose ballots are moved to another scale; probabilities that fall together are added."""

    def __init__(self, expert: Expert, places: Sequence[int], labels: int) -> None:
        """`places` as from `positions`; `labels` is the length of the new scale."""
        self.name, self.modality = expert.name, expert.modality
        self._expert, self._places, self._labels = expert, places, labels

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        return [self._moved(one) for one in self._expert(items)]

    def _moved(self, evidence: Evidence) -> Evidence:
        return replace(
            evidence,
            severity=None if evidence.severity is None else self._places[evidence.severity],
            probabilities=self._sums(evidence.probabilities),
            spans=tuple(self._moved_span(span) for span in evidence.spans),
        )

    def _moved_span(self, span: Span) -> Span:
        return replace(span, probabilities=self._sums(span.probabilities))

    def _sums(self, probabilities: Sequence[float]) -> tuple[float, ...]:
        if not probabilities:
            return ()
        sums = np.zeros(self._labels, np.float32)  # as evidence is stored: a replay must add up the same numbers
        for place, probability in zip(self._places, probabilities, strict=True):
            sums[place] += probability
        return tuple(sums.tolist())
