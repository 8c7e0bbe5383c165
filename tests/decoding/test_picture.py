"""Pictures come out upright, small and whole, or not at all."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from capitoline.modalities.decoding.limits import UndecodableError
from capitoline.modalities.decoding.picture import Picture, read_picture
from tests.decoding.making import saved, scenery

PIXELS = 64_000_000


def read(data: bytes, side: int = 352, frames: int = 8, looked_through: int = 2_000) -> Picture:
    return read_picture(data, side, PIXELS, frames, looked_through)


def only(data: bytes, side: int = 352) -> npt.NDArray[np.uint8]:
    (frame,) = read(data, side).frames
    return frame.pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_shrinking_while_decoding_equals_shrinking_the_whole_picture(kind: str) -> None:
    data = saved(scenery(1600, 1200), kind)
    fast = only(data, side=150).astype(int)
    naive = np.asarray(scenery(1600, 1200).resize((200, 150), Image.Resampling.BICUBIC)).astype(int)
    assert fast.shape == (150, 200, 3)
    assert np.abs(fast - naive).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_picture_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = only(saved(scenery(80, 48), kind, exif=exif)).astype(int)
    stored = np.asarray(scenery(80, 48))
    upright = {  # EXIF 2.3: where the stored picture's first row and first column lie when it is shown
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }
    assert turned.shape == upright[orientation].shape
    assert np.abs(turned - upright[orientation]).mean() < 4


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16)[None].repeat(64, 0)
    pixels = only(saved(Image.fromarray(ramp), "PNG"))
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("colour", ["white", "black", "grey"])
def test_nothing_hides_on_a_transparent_ground(colour: str) -> None:
    picture = Image.new("RGBA", (64, 64))
    picture.paste(Image.new("RGBA", (32, 32), colour), (16, 16))
    frames = read(saved(picture, "PNG")).frames
    assert max(int(frame.pixels.max()) - int(frame.pixels.min()) for frame in frames) > 100


def test_an_opaque_picture_with_an_alpha_channel_is_one_frame() -> None:
    assert len(read(saved(scenery(64, 64).convert("RGBA"), "PNG")).frames) == 1


def test_a_long_strip_is_cut_into_pieces_wide_enough_to_see() -> None:
    frames = read(saved(scenery(400, 10_000), "BMP")).frames
    assert len(frames) == 7
    assert {frame.pixels.shape[1] for frame in frames} == {352}
    assert sum(frame.pixels.shape[0] for frame in frames) == 8_800


def test_a_hair_of_a_picture_has_a_frame() -> None:
    assert 1 <= len(read(saved(Image.new("RGB", (50_000, 1)), "PNG")).frames) <= 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_seen_from_its_first_frame_to_its_last(kind: str) -> None:
    shades = [Image.new("RGB", (32, 32), (10 * number,) * 3) for number in range(20)]
    data = saved(shades[0], kind, save_all=True, append_images=shades[1:], duration=100, lossless=True)
    frames = read(data).frames
    assert [round(int(frame.pixels[0, 0, 0]) / 10) for frame in frames] == [0, 3, 5, 8, 11, 14, 16, 19]
    assert frames[-1].seconds == pytest.approx(1.9)


def test_pages_of_a_tiff_are_all_seen() -> None:
    pages = [Image.new("RGB", (32, 32), (100 * number,) * 3) for number in range(3)]
    frames = read(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])).frames
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [0, 100, 200]


def test_an_animation_over_the_limit_shows_its_beginning_and_fails() -> None:
    shades = [Image.new("L", (8, 8), 10 * number) for number in range(20)]
    picture = read(saved(shades[0], "GIF", save_all=True, append_images=shades[1:]), looked_through=10)
    assert picture.frames
    assert picture.failure is not None
    assert "20 frames" in picture.failure.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF", "JPEG2000", "GIF"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_picture_is_an_error_wherever_it_is_cut(kind: str, share: float) -> None:
    data = saved(scenery(300, 200), kind)
    with pytest.raises(UndecodableError):
        read(data[: int(len(data) * share)])


def test_a_truncated_animation_keeps_what_was_seen_and_fails() -> None:
    frames = [scenery(64, 64).rotate(10 * number) for number in range(10)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = read(data[: len(data) * 2 // 3])
    assert picture.frames
    assert picture.failure is not None


def test_a_picture_that_declares_too_many_pixels_is_refused_from_its_header() -> None:
    header = struct.pack(">2I5B", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with pytest.raises(UndecodableError, match="declares more pixels than the limit of 64,000,000"):
        read(data + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(UndecodableError, match="declares more pixels than the limit of 10,000"):
        read_picture(saved(scenery(200, 100), "PNG"), 352, 10_000, 8, 2_000)


def test_formats_that_start_other_programs_are_not_opened() -> None:
    with pytest.raises(UndecodableError, match="not a picture"):
        read(saved(scenery(32, 32), "EPS"))
