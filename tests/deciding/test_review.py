"""What sends a verdict to a person."""

from __future__ import annotations

import pytest

from capitoline.fusion.mean import MeanProbability
from capitoline.fusion.serving import Serving
from capitoline.modalities.schema import Decoded, Evidence, Item, Modality, Outcome, RatingScale
from capitoline.pipelines.review import Reviewed, ReviewPolicy
from capitoline.voter.rules import majority
from capitoline.voter.voter import Voter

SCALE = RatingScale(("PG", "PG13", "R", "X", "XXX"))
ITEM = Decoded(item=Item(id="item"), digest="00")


def voter(policy: ReviewPolicy) -> Reviewed:
    return Reviewed(Voter(SCALE, majority, "majority"), SCALE, policy)


def ballot(expert: str, severity: int, probabilities: tuple[float, ...] = ()) -> Evidence:
    return Evidence(expert, Modality.TEXT, Outcome.RATED, severity=severity, probabilities=probabilities)


def test_agreement_needs_nobody() -> None:
    assert not voter(ReviewPolicy())(ITEM, [ballot("a", 0), ballot("b", 1)]).needs_review


def test_experts_two_levels_apart_go_to_review() -> None:
    assert voter(ReviewPolicy())(ITEM, [ballot("a", 0), ballot("b", 2)]).review == ("experts disagree from PG to R",)


def test_an_unrated_item_goes_to_review() -> None:
    assert voter(ReviewPolicy())(ITEM, []).needs_review


def test_a_failed_part_goes_to_review_though_the_rest_was_rated() -> None:
    failed = Evidence("ocr", Modality.IMAGE, Outcome.ERROR, reason="truncated")
    assert voter(ReviewPolicy())(ITEM, [ballot("a", 0), failed]).review == ("ocr failed: truncated",)


def test_what_the_decoder_cut_goes_to_review() -> None:
    cut = Decoded(item=Item(id="item"), digest="00", notes=("sound cut at 3600 s",))
    assert voter(ReviewPolicy())(cut, [ballot("a", 0)]).review == ("sound cut at 3600 s",)


def test_a_thin_margin_goes_to_review() -> None:
    decide = Reviewed(Serving(MeanProbability(), SCALE), SCALE, ReviewPolicy(margin=0.2))
    assert "thin margin" in decide(ITEM, [ballot("a", 0, (0.45, 0.4, 0.15, 0, 0))]).review[0]
    assert not decide(ITEM, [ballot("a", 0, (0.8, 0.1, 0.1, 0, 0))]).needs_review


def test_chosen_labels_always_go_to_review_and_must_be_on_the_scale() -> None:
    assert "always" in voter(ReviewPolicy(labels=("XXX",)))(ITEM, [ballot("a", 4)]).review[0]
    with pytest.raises(ValueError, match="not on the scale"):
        voter(ReviewPolicy(labels=("NC-17",)))


def test_a_rating_that_rests_only_on_reservations_goes_to_review() -> None:
    reserved = Evidence("video", Modality.VIDEO, Outcome.RATED, severity=0, reason="gore was not looked for")
    assert voter(ReviewPolicy())(ITEM, [reserved]).review == ("video: gore was not looked for",)
    assert not voter(ReviewPolicy())(ITEM, [reserved, ballot("audio", 0)]).needs_review
