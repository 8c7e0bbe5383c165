"""Weights trained on one scale serve another without changing the order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from capitoline.modalities.schema import Decoded, Evidence, Item, Modality, Outcome, RatingScale
from capitoline.pipelines.projection import Projected, positions

TRAINED = RatingScale(("PG", "PG13", "R", "X", "XXX"))
SAFETY = RatingScale(("safe", "controversial", "unsafe"))
MAPPING = {"PG": "safe", "PG13": "safe", "R": "controversial", "X": "unsafe", "XXX": "unsafe"}


class Always:
    """An expert that says one thing."""

    name, modality = "text", Modality.TEXT

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        return [self._evidence for _ in items]


def test_probabilities_that_fall_together_are_added() -> None:
    rated = Evidence("text", Modality.TEXT, Outcome.RATED, severity=3, probabilities=(0.1, 0.1, 0.2, 0.4, 0.2))
    places = positions(TRAINED, SAFETY, MAPPING)
    (moved,) = Projected(Always(rated), places, len(SAFETY))([Decoded(Item("a"), "00")])
    assert moved.severity == 2
    assert moved.probabilities == pytest.approx((0.2, 0.2, 0.6))


def test_equal_scales_need_no_mapping() -> None:
    assert positions(TRAINED, TRAINED, {}) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "give `scale_from`"),
        ({"PG": "safe"}, "missing: PG13, R, X, XXX"),
        ({**MAPPING, "PG": "unsafe"}, "reverses"),
        ({**MAPPING, "PG": "harmless"}, "not on the scale"),
    ],
)
def test_a_scale_that_does_not_fit_is_refused_with_what_to_do(mapping: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        positions(TRAINED, SAFETY, mapping)
