"""The mean of probabilities keeps the voter's promises where they apply."""

from __future__ import annotations

import numpy as np
import pytest

from capitoline.fusion.mean import MeanProbability, upper_median
from capitoline.fusion.serving import Serving
from capitoline.modalities.schema import UNRATED, Decoded, Evidence, Item, Modality, Outcome, RatingScale

SCALE = RatingScale(("G", "PG", "NC-17"))
ITEM = Decoded(item=Item(id="item"), digest="00")
MEAN = Serving(MeanProbability(), SCALE)


def rated(expert: str, *probabilities: float) -> Evidence:
    severity = int(np.argmax(probabilities))
    return Evidence(expert, Modality.TEXT, Outcome.RATED, probabilities=probabilities, severity=severity)


def test_the_probabilities_are_the_mean_over_those_who_rated() -> None:
    silent = Evidence("ocr", Modality.IMAGE, Outcome.ABSENT, reason="no picture")
    verdict = MEAN(ITEM, [rated("a", 0.6, 0.4, 0.0), rated("b", 0, 0.2, 0.8), silent])
    assert verdict.probabilities == pytest.approx((0.3, 0.3, 0.4))
    assert verdict.rating == "PG"


def test_a_draw_between_halves_goes_to_the_more_restrictive() -> None:
    assert upper_median(np.array([[0.5, 0.0, 0.5]])) == [2]
    assert upper_median(np.array([[0.1] * 10])) == [5]  # float sums fall short of one half


def test_an_expert_without_probabilities_counts_as_certain() -> None:
    certain = Evidence("thresholds", Modality.TAGS, Outcome.RATED, severity=2)
    assert MEAN(ITEM, [certain]).probabilities == (0, 0, 1)


def test_nobody_rated_is_unrated() -> None:
    verdict = MEAN(ITEM, [])
    assert (verdict.rating, verdict.severity, verdict.probabilities) == (UNRATED, None, ())


def test_probabilities_that_are_no_numbers_are_no_verdict() -> None:
    stored = [rated("a", 0.6, 0.4, 0.0), rated("b", np.nan, np.nan, np.nan)]
    assert MEAN(ITEM, stored).rating == UNRATED
