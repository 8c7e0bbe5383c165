"""From a network's ratings to the evidence of an expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from capitoline.modalities.schema import Evidence, Expert, Outcome, Span, Tag

if TYPE_CHECKING:
    from capitoline.modalities.networks.rater import Ratings


def rated(
    expert: Expert,
    ratings: Ratings,
    row: int,
    reservation: str = "",
    spans: Sequence[Span] = (),
    tags: Sequence[Tag] = (),
) -> Evidence:
    """The evidence that row `row` of `ratings` is."""
    return Evidence(
        expert.name,
        expert.modality,
        Outcome.RATED,
        reservation,
        probabilities=tuple(ratings.probabilities[row].tolist()),
        severity=int(ratings.severities[row]),
        features=ratings.features[row],
        spans=tuple(spans),
        tags=tuple(tags),
    )
