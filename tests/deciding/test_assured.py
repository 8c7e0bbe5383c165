"""One sure expert is not outvoted by far."""

from __future__ import annotations

import pytest

from capitoline.configs.settings import MeanSettings, Settings, VoterSettings
from capitoline.modalities.schema import Decoded, Evidence, Item, Modality, Outcome
from capitoline.pipelines.assembly import build_decider
from capitoline.voter.assured import surely_reached

ITEM = Decoded(Item("explicit text, harmless tag"), "", "explicit", ("family",))


def said(expert: str, severity: int, *probabilities: float) -> Evidence:
    return Evidence(expert, Modality.TEXT, Outcome.RATED, "", probabilities, severity)


MILD = [said("tags", 0, 1.0, 0.0, 0.0, 0.0, 0.0), said("thresholds", 0)]
SURE = said("text", 4, 0.0, 0.0, 0.01, 0.02, 0.97)
UNSURE = said("text", 4, 0.0, 0.0, 0.2, 0.2, 0.6)


def test_two_readers_of_one_tag_do_not_make_an_explicit_text_pg() -> None:
    verdict = build_decider(Settings())(ITEM, [SURE, *MILD])
    assert (verdict.rating, verdict.severity) == ("X", 3)
    assert verdict.review[0] == "text is sure of XXX or more; the others would make it PG"


def test_an_unsure_expert_is_outvoted_and_the_item_goes_to_review() -> None:
    verdict = build_decider(Settings())(ITEM, [UNSURE, *MILD])
    assert verdict.rating == "PG13"  # it is 95 % sure of R, whatever else
    verdict = build_decider(Settings())(ITEM, [said("text", 4, 0.3, 0.0, 0.0, 0.0, 0.7), *MILD])
    assert verdict.rating == "PG" and verdict.review


def test_ballots_alone_decide_where_nobody_is_sure_of_more_than_one_level_above() -> None:
    verdict = build_decider(Settings())(ITEM, [said("text", 1, 0.0, 1.0, 0.0, 0.0, 0.0), *MILD])
    assert (verdict.rating, verdict.review) == ("PG", ())


def test_ballots_alone_decide_where_the_configuration_says_so() -> None:
    settings = Settings(decider=VoterSettings(sure=None))
    assert build_decider(settings)(ITEM, [SURE, *MILD]).rating == "PG"


def test_the_mean_is_held_to_it_too() -> None:
    mild, milder = (said(name, 0, 1.0, 0.0, 0.0, 0.0, 0.0) for name in ("image", "tags"))
    counted = build_decider(Settings(decider=MeanSettings(sure=None)))(ITEM, [SURE, mild, milder])
    held = build_decider(Settings(decider=MeanSettings()))(ITEM, [SURE, mild, milder])
    assert (counted.rating, held.rating) == ("PG", "X")


def test_a_sure_expert_makes_no_rating_out_of_nothing() -> None:
    assert build_decider(Settings())(ITEM, []).severity is None


@pytest.mark.parametrize(
    ("probabilities", "level"),
    [((), 0), ((1.0, 0.0, 0.0), 0), ((0.05, 0.95, 0.0), 1), ((0.05, 0.0, 0.95), 2), ((0.06, 0.0, 0.94), 0)],
)
def test_the_level_that_is_surely_reached(probabilities: tuple[float, ...], level: int) -> None:
    assert surely_reached(probabilities, 0.95) == level
