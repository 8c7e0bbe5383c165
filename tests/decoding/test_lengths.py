"""How much of a file is missing, by what the file itself says."""

from __future__ import annotations

from pathlib import Path

import pytest

from capitoline.modalities.decoding.lengths import lacks_its_end, missing_bytes
from tests.decoding.making import film, shades, tone

CUT = 1_000


@pytest.mark.parametrize(("container", "codec"), [("wav", "pcm_s16le"), ("mp3", "mp3"), ("mp4", "aac"), ("avi", "mp3")])
def test_to_the_byte_where_a_file_says_its_length(container: str, codec: str) -> None:
    pictures = shades(10) if container in ("avi", "mp4") else []
    whole = film(pictures, tone(2.0), container=container, sound_codec=codec)
    assert missing_bytes(whole) == 0
    end = whole.index(b"moov") - 4 if container == "mp4" else len(whole)
    assert missing_bytes(whole[: end - CUT]) == CUT


def test_of_real_files(data: Path) -> None:
    for name in ("speech_clips/fw_hotwords.mp3", "video_clips/pixelprobe_valid.mp4"):
        whole = (data / name).read_bytes()
        assert missing_bytes(whole) == 0
        assert missing_bytes(whole[:-CUT]) == CUT, name


def test_every_cut_of_an_ogg_file_is_seen() -> None:
    whole = film(sound=tone(1.0), container="ogg", sound_codec="flac")
    assert not lacks_its_end(whole)
    assert all(lacks_its_end(whole[:length]) for length in range(4, len(whole), 101))
    assert lacks_its_end(whole[:-1])


@pytest.mark.parametrize(
    "data", [b"", b"ID3", b"\xff\xfb\x90\x00", b"\0\0\0\x08ftyp", b"\0\0\0\0ftyp", b"RIFF\xff\xff\xff\xff", b"OggX"]
)
def test_what_says_nothing_misses_nothing(data: bytes) -> None:
    assert missing_bytes(data) == 0
    assert not lacks_its_end(data)
