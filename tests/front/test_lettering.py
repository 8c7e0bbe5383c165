"""Text in pictures is read as RapidOCR reads it, without its import."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from capitoline.modalities.vision.lettering import LONGER_SIDE, Reader, in_order, padded

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@pytest.fixture(scope="module")
def published() -> Any:
    from rapidocr import RapidOCR

    parameters = {"Global.use_cls": False, "Global.log_level": "critical"}
    return RapidOCR(params=parameters | {"Det.limit_side_len": LONGER_SIDE, "Det.limit_type": "max"})


def lines(published: Any, picture: Picture) -> list[str]:
    found = published(np.ascontiguousarray(picture[:, :, ::-1])).txts or ()
    return [line.strip() for line in found if line.strip()]


def drawn(seed: int) -> Picture:
    """A picture of any shape and colour with lines of any size, some of it turned."""
    draw = np.random.default_rng(seed)
    size, ground = (int(draw.integers(200, 900)), int(draw.integers(60, 500))), tuple(draw.integers(0, 255, 3).tolist())
    image = Image.new("RGB", size, ground)
    for top in range(10, image.height, 60):
        text = " ".join(draw.choice(["Explicit", "violence,", "in 1999", "a KITTEN", "(plays)"], 3))
        font = ImageFont.load_default(int(draw.integers(16, 40)))
        colour = tuple(draw.integers(0, 255, 3).tolist())
        ImageDraw.Draw(image).text((int(draw.integers(0, 60)), top), text, fill=colour, font=font)
    return np.asarray(image.rotate(float(draw.integers(-15, 15)), expand=True) if seed % 4 == 0 else image)


@pytest.mark.slow
def test_drawn_text_is_read_as_rapidocr_reads_it(reader: Reader, published: Any) -> None:
    pictures = [drawn(seed) for seed in range(8)]
    expected = [lines(published, picture) for picture in pictures]
    assert [reader(picture) for picture in pictures] == expected
    assert sum(map(len, expected)) > 15


@pytest.mark.parametrize("shape", [(40, 600), (70, 900), (33, 120)])
def test_flat_pictures_are_read_as_rapidocr_reads_them(reader: Reader, published: Any, shape: tuple[int, int]) -> None:
    image = Image.new("RGB", shape[::-1], "white")
    ImageDraw.Draw(image).text((8, 4), "strong language", fill="black", font=ImageFont.load_default(shape[0] // 2))
    assert reader(np.asarray(image)) == lines(published, np.asarray(image))


@pytest.mark.slow
def test_posters_are_read_as_rapidocr_reads_them(data: Path, reader: Reader, published: Any) -> None:
    with zipfile.ZipFile(data / "posters_mm.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:60]
        pictures = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    assert [reader(picture) for picture in pictures] == [lines(published, picture) for picture in pictures]


def test_boxes_go_from_the_top_to_the_bottom_and_along_a_line_from_left_to_right() -> None:
    corner = [(200, 12), (5, 50), (10, 15), (100, 9), (3, 90)]
    boxes = [np.array([(x, y), (x + 9, y), (x + 9, y + 9), (x, y + 9)], np.float32) for x, y in corner]
    assert [tuple(box[0]) for box in in_order(boxes)] == [(10, 15), (100, 9), (200, 12), (5, 50), (3, 90)]
    assert in_order([]) == []


def test_only_low_and_flat_pictures_are_padded() -> None:
    shapes = [(100, 800), (100, 816), (20, 20)]
    assert [padded(np.zeros((*shape, 3), np.uint8)).shape[0] for shape in shapes] == [100, 204, 60]
