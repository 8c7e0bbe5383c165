"""Half an item is never rated as if it were the whole."""

from __future__ import annotations

import numpy as np
import pytest

from capitoline.configs.settings import MeanSettings, Settings, VoterSettings
from capitoline.modalities.schema import UNRATED, Decoded, Evidence, Failure, Item, Modality, Outcome, Verdict
from capitoline.pipelines.assembly import build_decider

BROKEN = Failure(Outcome.ERROR, "truncated")
SETTINGS = [Settings(decider=VoterSettings()), Settings(decider=MeanSettings())]


def ballot(expert: str, modality: Modality, severity: int) -> Evidence:
    return Evidence(expert, modality, Outcome.RATED, severity=severity)


def failed(expert: str, modality: Modality) -> Evidence:
    return Evidence(expert, modality, Outcome.ERROR, reason="truncated")


def decide(settings: Settings, item: Decoded, *evidence: Evidence) -> Verdict:
    return build_decider(settings)(item, evidence)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_film_with_broken_pictures_is_not_pg_because_its_sound_is_harmless(settings: Settings) -> None:
    film = Decoded(Item("film"), "00", failures={Modality.VIDEO: BROKEN})
    evidence = [failed("video", Modality.VIDEO), ballot("audio", Modality.AUDIO, 0)]
    verdict = decide(settings, film, *evidence)
    assert verdict.rating == UNRATED
    assert verdict.review[0] == "video could not be looked at; what could be would make it PG"


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_missing_file_or_sidecar_withholds_the_rating(settings: Settings) -> None:
    item = Decoded(Item("poster"), "00", text="a picnic", unreadable=(BROKEN,))
    assert decide(settings, item, ballot("text", Modality.TEXT, 0)).rating == UNRATED


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_most_restrictive_rating_stands_since_nothing_hidden_can_be_worse(settings: Settings) -> None:
    item = Decoded(Item("poster"), "00", failures={Modality.IMAGE: BROKEN})
    evidence = [ballot("text", Modality.TEXT, 4), failed("image", Modality.IMAGE)]
    assert decide(settings, item, *evidence).rating == "XXX"


def test_an_expert_that_fails_on_a_part_which_another_looked_at_withholds_nothing() -> None:
    picture = Decoded(Item("picture"), "00")
    verdict = decide(SETTINGS[0], picture, ballot("image", Modality.IMAGE, 1), failed("ocr", Modality.IMAGE))
    assert verdict.rating == "PG13"
    assert verdict.failed
    assert verdict.needs_review


def test_an_expert_that_alone_sees_a_part_and_fails_withholds_the_rating() -> None:
    film = Decoded(Item("film"), "00", sound=np.zeros(16, np.int16))
    verdict = decide(SETTINGS[0], film, ballot("video", Modality.VIDEO, 0), failed("audio", Modality.AUDIO))
    assert verdict.rating == UNRATED


def test_a_text_that_nobody_can_read_withholds_the_rating_of_its_picture() -> None:
    item = Decoded(Item("picture"), "00", text="Ein Bild sagt mehr")
    foreign = Evidence("text", Modality.TEXT, Outcome.UNSUPPORTED, reason="another language, or a cipher")
    assert decide(SETTINGS[0], item, foreign, ballot("image", Modality.IMAGE, 0)).rating == UNRATED


def test_music_that_nobody_speaks_in_withholds_nothing() -> None:
    silent = Evidence("audio", Modality.AUDIO, Outcome.ABSTAINED, reason="no speech")
    assert decide(SETTINGS[0], Decoded(Item("film"), "00"), ballot("video", Modality.VIDEO, 2), silent).rating == "R"
