"""An item comes out with all that could be read of it and a reason for all that could not."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.schema import Decoded, File, Item, Modality, Outcome, Storage
from tests.decoding.conftest import Decode, written
from tests.decoding.making import film, saved, scenery, shades, tone


def corrupt_items(data: Path) -> list[Item]:
    archive = data / "corrupt_media.zip"
    with zipfile.ZipFile(archive) as opened:
        return [
            Item(one.filename, files=(File(str(archive), one.filename, one.file_size, Storage.ZIP, one.header_offset),))
            for one in opened.infolist()
        ]


def assert_accounted(decoded: Decoded) -> None:
    """It has a part to look at or a reason why not."""
    assert decoded.parts or decoded.unreadable, decoded.item.id
    assert all(failure.reason for failure in (*decoded.failures.values(), *decoded.unreadable))


def test_an_item_of_every_medium_has_every_part(decode: Decode) -> None:
    decoded = decode(
        "a caption", ("cat",), a_jpg=saved(scenery(64, 48), "JPEG"), b_mkv=film(shades(20), tone(2.0)), c_txt=b"more"
    )
    assert decoded.text == "a caption\n\nmore"
    assert decoded.tags == ("cat",)
    assert decoded.parts == tuple(Modality)
    assert decoded.duration == pytest.approx(2.0, abs=0.2)
    assert not decoded.failures
    assert not decoded.unreadable


def test_several_media_of_one_kind_are_all_seen_one_after_another(decode: Decode) -> None:
    clip = film(shades(20), tone(2.0))
    decoded = decode(a_png=saved(scenery(8, 8), "PNG"), b_png=saved(scenery(9, 9), "PNG"), c_mkv=clip, d_mkv=clip)
    assert len(decoded.pictures) == 2
    times = [frame.seconds for frame in decoded.film]
    assert len(times) == 32
    assert times == sorted(times)
    assert decoded.sound is not None
    assert decoded.sound.size == pytest.approx(4 * 16_000, rel=0.05)


def test_one_broken_file_of_several_is_named_and_the_others_are_seen(decode: Decode) -> None:
    whole = saved(scenery(64, 48), "PNG")
    decoded = decode(good_png=whole, bad_png=whole[:-500])
    assert len(decoded.pictures) == 1
    assert decoded.failures[Modality.IMAGE].outcome is Outcome.ERROR
    assert decoded.failures[Modality.IMAGE].reason.startswith("bad.png: ")


def test_the_digest_tells_content_apart_and_nothing_else(
    decode: Decode, limits: DecodeLimits, sampling: Sampling, tmp_path: Path
) -> None:
    variants = [
        decode(),
        decode("a"),
        decode("", ("a",)),
        decode("ab"),
        decode("a", ("b",)),
        decode("a", ("b", "c")),
        decode("a", ("bc",)),
        decode("a", x_txt=b"b"),
        decode("", x_txt=b"ab"),
        decode("", x_txt=b"a", y_txt=b"b"),
    ]
    assert len({decoded.digest for decoded in variants}) == len(variants)
    other_name = Item("other", "a", None, (written(tmp_path / "renamed.txt", b"b"),))
    assert Decoder(limits, sampling).decode(other_name).digest == decode("a", x_txt=b"b").digest
    assert len(variants[0].digest) == 32


def test_a_problem_of_the_scan_is_kept(limits: DecodeLimits, sampling: Sampling) -> None:
    (decoded,) = Decoder(limits, sampling)([Item("a", "text", problem="its picture is missing")])
    assert decoded.unreadable[0].reason == "its picture is missing"
    assert decoded.text == "text"


def test_a_caption_beyond_the_limit_is_cut_and_says_so(limits: DecodeLimits, sampling: Sampling) -> None:
    (decoded,) = Decoder(replace(limits, text_characters=10), sampling)([Item("a", "goose " * 10)])
    assert decoded.text == "goose goos"
    assert decoded.notes == ("text cut after 10 characters",)


def test_a_decoded_item_stays_small(decode: Decode) -> None:
    decoded = decode(a_jpg=saved(scenery(4_000, 3_000), "JPEG"))
    assert sum(frame.pixels.nbytes for frame in decoded.pictures) < 600_000


def test_every_hostile_file_is_accounted_for(data: Path, limits: DecodeLimits, sampling: Sampling) -> None:
    items = corrupt_items(data)
    assert len(items) == 153
    for item, decoded in zip(items, Decoder(limits, sampling)(items), strict=True):
        assert decoded.item is item
        assert_accounted(decoded)


def test_no_hostile_film_or_picture_passes_for_text(data: Path, limits: DecodeLimits, sampling: Sampling) -> None:
    texts = [decoded.item.id for decoded in Decoder(limits, sampling)(corrupt_items(data)) if decoded.text]
    assert set(texts) == {"pillow/bad_palette_entry.gpl", "fuzz/png__gegl__png-save.c"}, "both are texts"


def test_random_damage_never_raises(limits: DecodeLimits, sampling: Sampling, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    wholes = {
        "a.gif": saved(scenery(64, 64), "GIF"),
        "a.webp": saved(scenery(64, 64), "WEBP"),
        "a.tif": saved(scenery(64, 64), "TIFF", compression="tiff_lzw"),
        "a.ico": saved(scenery(64, 64), "ICO"),
        "a.mkv": film(shades(20), tone(1.0)),
        "a.mp4": film(shades(20), tone(1.0), container="mp4", sound_codec="aac"),
    }
    decoder = Decoder(limits, sampling)
    for name, whole in wholes.items():
        for _ in range(15):
            damaged = np.frombuffer(whole, np.uint8).copy()
            places = random.integers(0, len(whole), 20)
            damaged[places] = random.integers(0, 256, 20)
            (decoded,) = decoder([Item(name, files=(written(tmp_path / name, damaged.tobytes()),))])
            assert_accounted(decoded)
