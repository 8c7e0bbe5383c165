"""What is written in a picture is rated, each line once; a picture without text is not mild."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from capitoline.modalities.ocr import PictureText, distinct
from capitoline.modalities.schema import Decoded, Failure, Frame, Item, Modality, Outcome
from capitoline.modalities.vision.lettering import Reader
from tests.front.pictures import noise
from tests.front.ratings import CountingRater


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def card(*lines: str, seconds: float = 0.0) -> Frame:
    image = Image.new("RGB", (480, 270), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((20, 20 + 70 * number), line, fill="black", font=ImageFont.load_default(30))
    return Frame(np.asarray(image), seconds)


def decoded(*frames: Frame) -> Decoded:
    return Decoded(Item("id"), "digest", pictures=frames)


def test_lines_are_read_from_the_top_to_the_bottom(reader: Reader) -> None:
    assert reader(card("how to build", "a weapon at home").pixels) == ["how to build", "a weapon at home"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (20, 900)])
def test_a_picture_of_any_shape_without_text_has_no_lines(reader: Reader, shape: tuple[int, int]) -> None:
    assert reader(np.full((*shape, 3), 200, np.uint8)) == []


def test_text_is_rated_as_a_whole_and_line_by_line(reader: Reader) -> None:
    rater = CountingRater()
    (evidence,) = PictureText(reader, rater)([decoded(card("how to build", "a weapon at home"))])
    assert (evidence.outcome, evidence.severity) == (Outcome.RATED, 1)
    assert [(span.text, span.probabilities) for span in evidence.spans] == [
        ("how to build", (1.0, 0.0)),
        ("a weapon at home", (0.0, 1.0)),
    ]
    assert rater.texts[0] == "how to build a weapon at home"


def test_mild_words_raise_no_alarm_and_reassure_nobody(reader: Reader) -> None:
    (evidence,) = PictureText(reader, CountingRater())([decoded(card("a picnic", "at the lake"))])
    assert (evidence.outcome, evidence.severity) == (Outcome.ABSTAINED, None)
    assert evidence.reason == "its words are mild, which does not make the picture so"
    assert [span.text for span in evidence.spans] == ["a picnic", "at the lake"]


def test_a_line_shown_in_many_frames_is_read_once(reader: Reader) -> None:
    frames = (card("the same line", seconds=1), card("the same line", "and another", seconds=2))
    (evidence,) = PictureText(reader, CountingRater())([decoded(*frames)])
    assert [(span.text, span.start) for span in evidence.spans] == [("the same line", 1), ("and another", 2)]


def test_frames_that_look_alike_are_read_once_and_a_new_caption_is_seen() -> None:
    first, same, captioned = card("one"), card("one"), card("one", "two")
    assert distinct([first, same, captioned, first]) == [first, captioned]


def test_pictures_without_enough_words_are_no_ballot(reader: Reader) -> None:
    items = [decoded(Frame(noise(0))), decoded(card("two words")), decoded()]
    evidence = PictureText(reader, CountingRater())(items)
    assert [one.outcome for one in evidence] == [Outcome.ABSTAINED, Outcome.ABSTAINED, Outcome.ABSENT]
    assert [one.reason for one in evidence] == ["no text in the picture", "fewer than 3 words", "no image"]


def test_a_picture_that_could_not_be_read_is_a_failure(reader: Reader) -> None:
    item = Decoded(Item("id"), "digest", failures={Modality.IMAGE: Failure(Outcome.ERROR, "truncated")})
    (evidence,) = PictureText(reader, CountingRater())([item])
    assert (evidence.outcome, evidence.reason) == (Outcome.ERROR, "truncated")


def test_photographs_give_no_invented_words(data: Path, reader: Reader) -> None:
    with zipfile.ZipFile(data / "imagenet_samples.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:40]
        frames = [Frame(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))) for name in names]
    evidence = PictureText(reader, CountingRater())([decoded(frame) for frame in frames])
    assert {one.outcome for one in evidence} == {Outcome.ABSTAINED}
