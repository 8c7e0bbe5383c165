"""Disguised text is read as a person reads it, and clean text is left alone."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capitoline.modalities.language.normalise import INVISIBLE, LOOK_ALIKES, MARKS, Normalised, normalise
from capitoline.modalities.language.respelling import FIGURES, GAPS, is_word, split
from capitoline.modalities.networks.trunk import TextRater, load_text_rater
from capitoline.modalities.schema import Decoded, Item, Outcome
from capitoline.modalities.text import LEAST_KNOWN, Text

CLEAN = (
    "Two sisters, 9 and 11, find a map in the 1980s; at 5pm the U.S. Navy's B-52 lands. I am a.k.a. Se-an, 3rd @user!"
)
RUSSIAN = "Привет! Это обычный текст о том, как он и она шли в театр, а сор остался."
GREEK = "Καλημέρα κόσμε, αυτό είναι ένα κανονικό κείμενο για το σχολείο."
WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
TRICKS = st.text(
    alphabet="sexporn ЅехрогПриветκόσμε0134$@!.-_ \u200b\u202e\u0336\u0301\u00ad\ufeffｓ𝓮ᴘ🅿ﷺ☆", max_size=60
)

settings.register_profile("a busy machine", deadline=None)
settings.load_profile("a busy machine")

DISGUISES: dict[str, Callable[[str], str]] = {
    "zero-width": "\u200b".join,
    "look-alikes": lambda text: text.translate(str.maketrans("aeopcxyi", "аеорсхуі")),
    "figures": lambda text: re.sub(
        r"(?<=[a-z])[oeai](?=[a-z])", lambda one: "0341"["oeai".index(one[0])], text, count=10
    ),
    "gaps": lambda text: re.sub(r"[a-z]{4,}", lambda word: " ".join(word[0]), text),
}


@pytest.mark.parametrize(
    ("disguised", "plain", "how"),
    [
        ("s\u200be\u200cx", "sex", INVISIBLE),
        ("\u202ese\u2066x", "sex", INVISIBLE),
        ("s̶e̶x̶ p̸̢̛o̵r̷n", "sex porn", MARKS),
        ("рогn and nаkеd", "porn and naked", LOOK_ALIKES),
        ("ѕех in the city", "sex in the city", LOOK_ALIKES),
        ("Ρorn", "Porn", LOOK_ALIKES),
    ],
)
def test_disguises_of_characters_are_undone_and_named(disguised: str, plain: str, how: str) -> None:
    found = normalise(disguised)
    assert (found.text, found.guess) == (plain, "")
    assert how in found.disguises


@pytest.mark.parametrize("styled", ["ｓｅｘ", "𝖘𝖊𝖝", "ⓢⓔⓧ", "ѕｅｘ", "🆂🅴🆇"])
def test_letters_in_another_style_are_plain_letters(styled: str) -> None:
    assert normalise(f"{styled} in the city").text.lower() == "sex in the city"


@pytest.mark.parametrize(
    ("disguised", "guess", "how"),
    [
        ("p0rn, h4rdc0re and n@ked", "porn, hardcore and naked", FIGURES),
        ("$ex or sh!t", "sex or shit", FIGURES),
        ("a d1ldo! and s3x!!", "a dildo! and sex!!", FIGURES),
        ("f.u.c.k you", "fuck you", GAPS),
        ("S.E.X. and s e x", "sex. and sex", GAPS),
        ("a n-a-k-e-d w_o_m_a_n", "a naked woman", GAPS),
        ("n a k e d w o m a n", "naked woman", GAPS),
        ("p 0 r n", "porn", GAPS),
        ("t h e  n a k e d  w o m a n  i n  b e d", "the naked woman in bed", GAPS),
    ],
)
def test_what_must_be_guessed_is_read_beside_what_is_written(disguised: str, guess: str, how: str) -> None:
    found = normalise(disguised)
    assert found.readings == (disguised, guess)
    assert how in found.disguises


@pytest.mark.parametrize(
    "text",
    [
        CLEAN, RUSSIAN, GREEK, "naïve café in Łódź … ½ ™ 10²", "👨\u200d👩\u200d👧 ❤️ 🇩🇪", "می\u200cخواهم",
        "N.A.S.A., F.B.I. and C.A.T.", "3 x 3 = 9", "mail support@turner.com or tap!tap!tap!",
        "Call 555-1234, R2D2 & C3PO, MP3, 4K, 3D, iOS7, Season5, Top10"
    ],
)  # fmt: skip
def test_clean_text_is_left_alone(text: str) -> None:
    found = normalise(text)
    assert (found.readings, found.disguises) == ((text,), ())


@given(st.lists(WORDS, max_size=30))
def test_plain_words_are_left_alone(words: list[str]) -> None:
    text = " ".join(word if len(word) > 1 else f"{word}{word}" for word in words)
    assert normalise(text).readings == (text,)


@given(st.text(max_size=80) | TRICKS)
@settings(max_examples=400)
def test_what_is_normalised_is_normal(text: str) -> None:
    plain = normalise(text).text
    assert normalise(plain).text == plain


@given(st.text(max_size=80) | TRICKS)
def test_normalising_never_makes_a_text_much_longer(text: str) -> None:
    for read in normalise(text).readings:
        assert len(read) <= 18 * len(text)


@given(
    st.text(alphabet="абвгдежзиклмнопрстуфхцчшыьэюя ", max_size=60)
    | st.text(alphabet="αβγδεζηθικλμνξοπρστυφχω ", max_size=60)
)
def test_letters_of_one_script_stay_in_it(text: str) -> None:
    assert normalise(text).readings == (text,)


@pytest.mark.parametrize("unit", ["a", "p0", "s e x ", "\u200b", "é", "рa", "a.", "@", "\u0336", "漢"])
def test_time_grows_with_the_text_and_no_faster(unit: str) -> None:
    normalise(unit)
    begin = time.process_time()
    normalise(unit * (50_000 // len(unit)))
    assert time.process_time() - begin < 2.0


@given(st.lists(st.sampled_from(["naked", "woman", "sex", "city"]), min_size=1, max_size=8))
def test_words_run_together_are_cut_into_no_more_words_than_they_were(words: list[str]) -> None:
    found = split("".join(words))
    assert "".join(found) == "".join(words)
    assert len(found) <= len(words)


def test_acronyms_and_syllables_are_no_words() -> None:
    assert [word for word in ("usa", "fbi", "gfx", "qx", "", "p0rn") if is_word(word)] == []


def test_hardly_any_published_text_is_taken_for_disguised(data: Path) -> None:
    texts = [
        text
        for name in ("streaming_titles", "coco_captions_benign", "t2v_safetybench")
        for text in _texts(data, name, 1_000)
    ]
    texts += [text for name in ("tweeteval", "ios_apps") for text in _texts(data, name, 1_000)]
    assert sum(bool(normalise(text).disguises) for text in texts) <= 0.005 * len(texts)


@pytest.fixture(scope="module")
def rater() -> TextRater:
    return load_text_rater("text")


def test_unchanged_texts_are_rated_to_the_bit_as_the_network_rates_them(rater: TextRater, data: Path) -> None:
    texts = [text for text in _texts(data, "streaming_titles", 64) if normalise(text).readings == (text,)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("capitoline.modalities.networks.trunk.normalise", _as_written)
        expected = rater(texts).probabilities
    assert np.array_equal(rater(texts).probabilities, expected)


@pytest.mark.parametrize("how", ["zero-width", "look-alikes", "figures", "gaps"])
def test_a_disguise_makes_an_explicit_prompt_milder_by_no_more_than_a_step(
    rater: TextRater, data: Path, how: str
) -> None:
    prompts = [
        text for text in _texts(data, "t2v_safetybench", 400) if text.isascii() and normalise(text).readings == (text,)
    ][:60]
    plain, disguised = rater(prompts), rater([DISGUISES[how](text) for text in prompts])
    falls = plain.severities - disguised.severities
    assert np.mean(falls >= 2) <= (0.0 if how in ("zero-width", "look-alikes") else 0.05)
    if how in ("zero-width", "look-alikes"):
        assert np.array_equal(plain.probabilities, disguised.probabilities)


def test_a_disguised_text_is_rated_with_a_reservation_and_a_clean_one_without(rater: TextRater) -> None:
    plain, disguised = Text(rater)([_item("A naked woman in bed."), _item("A n\u200baked wоman in b3d, s e x.")])
    assert plain.reason == ""
    assert disguised.outcome is Outcome.RATED
    assert disguised.reason == f"disguised text: {INVISIBLE}, {LOOK_ALIKES}, {GAPS}, {FIGURES}"


def test_a_guess_never_makes_a_text_milder(rater: TextRater) -> None:
    texts = ["Se7en: a killer and $ex", "p0rn for f.u.n.", "BL4H"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("capitoline.modalities.networks.trunk.normalise", _as_written)
        written = rater(texts).expected
    assert (rater(texts).expected >= written - 1e-5).all()


@pytest.mark.parametrize("text", ["\u200b\u200b\ufeff", "\u202e\u2066", RUSSIAN, GREEK, "这部电影讲述了两姐妹的故事"])
def test_what_shows_nothing_or_is_in_another_script_is_not_rated(rater: TextRater, text: str) -> None:
    assert rater.read(text).known_share < LEAST_KNOWN
    assert Text(rater)([_item(text)])[0].outcome is Outcome.UNSUPPORTED


@pytest.mark.parametrize("text", ["😀🎬", "123 456", "❤️", "… !?"])
def test_figures_and_signs_say_nothing_to_rate(rater: TextRater, text: str) -> None:
    assert Text(rater)([_item(text)])[0].outcome is Outcome.ABSTAINED


def _as_written(text: str) -> Normalised:
    return Normalised(text)


def _item(text: str) -> Decoded:
    return Decoded(Item("a", text=text), "0" * 32, text=text)


def _texts(data: Path, name: str, count: int) -> list[str]:
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return list(islice((row["text"] for row in map(json.loads, lines) if row["text"]), count))
