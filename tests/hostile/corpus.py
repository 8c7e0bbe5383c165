"""The parents of the hostile files: broken ones that strangers collected, sound ones of every format."""

from __future__ import annotations

import io
from pathlib import Path
from zipfile import ZipFile

from PIL import Image

from tests.decoding.making import film, saved, scenery, shades, tone

LARGEST = 150_000
"""Bytes of a parent: mutating more costs time and reaches no other code."""

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ANIMATED = {"gif": "GIF", "webp": "WEBP", "png": "PNG", "tif": "TIFF"}
STILL = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "bmp": "BMP", "tif": "TIFF", "jp2": "JPEG2000",
         "gif": "GIF", "ico": "ICO", "ppm": "PPM"}  # fmt: skip

DECLARING = ("still.jpg", "still.png", "still.webp", "still.avif", "still.gif", "still.tif", "still.jp2", "moving.gif",
             "moving.webp", "moving.png", "made.mp4", "made.mkv", "made.webm", "made.avi", "made.wav", "made.flac",
             "made.m4a")  # fmt: skip
"""Formats that say how much there is. MP3, Ogg and MPEG streams do not: half of one is a shorter one."""
CHECKED = ("still.jpg", "still.png", "still.avif", "still.gif", "moving.gif", "moving.webp", "moving.png", "made.mp4",
           "made.mkv", "made.webm", "made.avi", "made.flac", "made.m4a")  # fmt: skip
"""Formats in which noise is no picture or sound: of bare pixels and samples, and to VP8, it is as good as any other."""


def corpus(data: Path) -> dict[str, bytes]:
    """All parents by name."""
    return {
        name: content
        for name, content in (broken(data) | fixtures(data) | every_format()).items()
        if len(content) <= LARGEST
    }


def broken(data: Path) -> dict[str, bytes]:
    """The collected hostile files."""
    with ZipFile(data / "corrupt_media.zip") as archive:
        return {one.filename: archive.read(one) for one in archive.infolist()}


def fixtures(data: Path) -> dict[str, bytes]:
    """Sound films, speech and samples, as they are."""
    folders = (data / "video_clips", data / "speech_clips", SAMPLES)
    return {path.name: path.read_bytes() for folder in folders for path in sorted(folder.iterdir()) if path.is_file()}


def every_format() -> dict[str, bytes]:
    """A sound file of every format that is read here."""
    return pictures() | films() | {"made.zip": archive(), "made.utf16.txt": "the geese woke Rome".encode("utf-16")}


def pictures() -> dict[str, bytes]:
    turning = [scenery(96, 64).rotate(20 * number) for number in range(6)]
    moving = {
        f"moving.{ending}": saved(turning[0], kind, save_all=True, append_images=turning[1:], duration=50)
        for ending, kind in ANIMATED.items()
    }
    return {f"still.{ending}": saved(scenery(160, 120), kind) for ending, kind in STILL.items()} | moving


def films() -> dict[str, bytes]:
    frames, sound = shades(40), tone(4.0)
    return {
        "made.mkv": film(frames, sound),
        "made.mp4": film(frames, sound, container="mp4", sound_codec="aac"),
        "made.avi": film(frames, sound, container="avi", codec="mpeg4", sound_codec="pcm_s16le"),
        "made.webm": film(frames, container="webm", codec="libvpx-vp9"),
        "made.ts": film(frames, sound, container="mpegts", sound_codec="aac"),
        "made.flv": film(frames, container="flv"),
        "made.wav": film(sound=tone(1.0), container="wav", sound_codec="pcm_s16le"),
        "made.mp3": film(sound=sound, container="mp3", sound_codec="libmp3lame"),
        "made.flac": film(sound=sound, container="flac"),
        "made.ogg": film(sound=sound, container="ogg", sound_codec="flac"),
        "made.m4a": film(sound=sound, container="ipod", sound_codec="aac"),
    }


def archive() -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w") as opened:
        opened.writestr("a.png", saved(Image.new("RGB", (8, 8)), "PNG"))
        opened.writestr("a.txt", "a caption")
    return stream.getvalue()
