"""The kind of a file comes from its bytes, and text is only what a person would read as such."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from capitoline.modalities.decoding.kinds import Kind, kind_of
from capitoline.modalities.decoding.limits import UndecodableError
from capitoline.modalities.decoding.plaintext import decode_text
from capitoline.modalities.schema import Outcome
from tests.decoding.conftest import Decode
from tests.decoding.making import film, saved, scenery, shades, tone

POEM = "Bärbel saß am Fluß: «déjà vu», 20 € for naïve façade, she said — and left.\n"


def zipped() -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "hello")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "JPEG2000", "ICO", "PPM"])
def test_a_picture_is_known_by_its_bytes(kind: str, decode: Decode) -> None:
    data = saved(scenery(64, 48), kind)
    assert kind_of(data).kind is Kind.PICTURE
    assert decode(notes_txt=data).pictures, "a wrong name changes nothing"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (film(shades(3)), Kind.FILM),
        (film(sound=tone(0.2), container="wav", sound_codec="pcm_s16le"), Kind.FILM),
        (zipped(), Kind.ARCHIVE),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", Kind.FOREIGN),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk", Kind.FOREIGN),
        (b"8BPS\0\1\0\0\0\0\0\0", Kind.FOREIGN),
        (b"  <?xml version='1.0'?><svg/>", Kind.FOREIGN),
        (b"<!DOCTYPE html><p>&#102;</p>", Kind.FOREIGN),
        (b'{"prompt": "a cat"}', Kind.FOREIGN),
        (b"#EXTM3U\nhttp://example.org/film.ts\n", Kind.FOREIGN),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", Kind.FOREIGN),
        (b"P3\n2 1\n255\n255 0 0 0 255 0\n", Kind.PICTURE),
        (b"BMX bikes and MZ motorcycles", Kind.TEXT),
        (b"[verse] {not json", Kind.TEXT),
        (b"DDS |\0\0\0\7\x10\x08\0", Kind.UNKNOWN),
    ],
)
def test_magic_bytes_and_first_words_tell_the_kind(data: bytes, kind: Kind) -> None:
    assert kind_of(data).kind is kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_text_is_read_in_the_encodings_that_people_use(encoding: str, decode: Decode) -> None:
    decoded = decode(poem_txt=POEM.encode(encoding))
    assert decoded.text == POEM
    assert decoded.notes == (("encoding guessed: cp1252",) if encoding == "cp1252" else ())


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "shift_jis", "euc_kr"])
def test_text_in_a_legacy_encoding_of_another_script_is_refused_rather_than_garbled(
    encoding: str, decode: Decode
) -> None:
    words = {"shift_jis": "日本語の文章です。" * 5, "euc_kr": "한국어 문장입니다. " * 5}
    decoded = decode(letter_txt=words.get(encoding, "Привет, как дела? " * 5).encode(encoding))
    assert decoded.text is None
    assert decoded.unreadable or decoded.failures


def test_binary_junk_is_not_text(decode: Decode) -> None:
    for seed in range(20):
        junk = np.random.default_rng(seed).integers(0, 256, 4096, dtype=np.uint8).tobytes()
        decoded = decode(junk_txt=junk)
        assert decoded.text is None
        assert decoded.unreadable or decoded.failures


def test_text_whose_tail_is_not_text_is_a_failure_of_the_text() -> None:
    with pytest.raises(UndecodableError, match="breaks off at byte 100,000"):
        decode_text(b"a" * 100_000 + b"\xff\xfe\x00", "utf-8", 200_000)


def test_a_text_beyond_the_limit_is_cut_and_says_so() -> None:
    assert decode_text(b"goose " * 100, "utf-8", 60) == ("goose " * 10, ("text cut after 60 characters",))
    assert decode_text("ü".encode() * 60, "utf-8", 60) == ("ü" * 60, ())


def test_text_under_the_name_of_a_medium_is_not_the_medium_and_not_a_text(decode: Decode) -> None:
    decoded = decode(photo_jpg=b"404 not found")
    assert decoded.text is None
    assert "named as a picture" in decoded.unreadable[0].reason


def test_what_nobody_reads_is_unsupported_and_has_no_part(decode: Decode) -> None:
    for data in (zipped(), b"<svg xmlns='x'/>", b"v/1\x01\2\0\0\0" + os.urandom(999)):
        decoded = decode(thing_bin=data)
        assert [failure.outcome for failure in decoded.unreadable] == [Outcome.UNSUPPORTED]
        assert not decoded.parts
    for name, data in {
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "midi": b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk",
    }.items():
        failures = decode(**{f"a_{name}": data}).failures
        assert [failure.outcome for failure in failures.values()] == [Outcome.UNSUPPORTED], name


def test_an_empty_file_is_an_error(decode: Decode) -> None:
    assert decode(empty_png=b"").unreadable[0].reason == "an empty file"


def test_a_picture_inside_a_text_name_and_a_text_beside_it_are_both_seen(decode: Decode) -> None:
    decoded = decode(a_txt=saved(Image.new("RGB", (9, 9)), "PNG"), b_txt=b"a caption")
    assert decoded.text == "a caption"
    assert len(decoded.pictures) == 1
