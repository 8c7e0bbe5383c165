from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capitoline.modalities.language.vocabulary import BEGIN, Vocabulary
from capitoline.modalities.networks.rater import Ratings
from capitoline.modalities.networks.trunk import TextRater, load_text_rater, windows


@pytest.fixture(scope="module")
def rater(tiny: Path) -> TextRater:
    return load_text_rater(str(tiny / "run" / "tiny.safetensors"))


def test_a_token_that_was_not_kept_is_spelt_in_its_bytes() -> None:
    whole = Vocabulary.whole()
    house = whole.encode(" house")
    assert len(house) == 1
    assert Vocabulary(house.tolist()).encode(" house").tolist() == [257]
    assert Vocabulary([]).encode(" house").tolist() == [byte + 1 for byte in b" house"]


@pytest.mark.parametrize("text", ["", "plain", "žluťoučký kůň", "日本語", "\ud800 a lone surrogate", "\x00\x1b"])
def test_every_text_has_an_encoding(text: str) -> None:
    rows = Vocabulary([]).encode(text)
    assert bytes(row - 1 for row in rows.tolist()) == text.encode("utf-8", "surrogatepass")


def test_windows_cover_a_text_once_in_order_and_are_about_equal() -> None:
    for count in (1, 7, 8, 9, 16, 17, 100):
        tokens = np.arange(1, count + 1)
        parts = windows(tokens, 8)
        assert all(part[0] == BEGIN for part in parts)
        assert np.concatenate([part[1:] for part in parts]).tolist() == tokens.tolist()
        lengths = [len(part) - 1 for part in parts]
        assert max(lengths) <= 8
        assert max(lengths) - min(lengths) <= 1


def test_an_empty_text_still_has_one_window() -> None:
    assert [part.tolist() for part in windows(np.array([], np.int64), 8)] == [[BEGIN]]


def test_one_severe_page_in_a_long_book_is_not_averaged_away() -> None:
    rater = load_text_rater("text")
    page = "An explicit film of sex, full of nude scenes, rape and pornography. " * 20
    book = "A family and their dog spend a happy summer on a farm. " * 200
    alone, harmless, hidden = rater([page, book, book + page + book]).severities
    assert harmless < alone
    assert hidden >= alone - 1 > harmless


def test_a_batch_gives_what_one_by_one_gives(rater: TextRater) -> None:
    texts = ["a kitten plays", "", "he shoots and swears " * 30, "日本語", "explicit"]
    together = rater(texts)
    for row, text in enumerate(texts):
        alone = rater([text])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[row], atol=1e-5)
        np.testing.assert_allclose(alone.features[0], together.features[row], atol=1e-4)


def test_no_texts_have_no_ratings(rater: TextRater) -> None:
    assert rater([]).probabilities.shape == (0, 5)


def test_weights_are_loaded_once_however_many_ask(rater: TextRater, tiny: Path) -> None:
    assert load_text_rater(str(tiny / "run" / "tiny.safetensors")) is rater


def test_a_head_that_is_not_there_is_an_error_that_names_those_there_are(rater: TextRater) -> None:
    with pytest.raises(ValueError, match="no head 'image', only tags, text"):
        rater(["a"], "image")


def test_the_most_severe_part_speaks_for_its_owner() -> None:
    parts = Ratings(
        np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32), np.eye(3, dtype=np.float32), np.array([0, 1, 0])
    )
    worst = parts.worst_of([0, 0, 1], 2)
    assert worst.severities.tolist() == [1, 0]
    assert worst.features.tolist() == [[0, 1, 0], [0, 0, 1]]
