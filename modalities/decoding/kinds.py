"""The kind of a file, from its bytes and never from its name.

Magic bytes only say which decoder to try; the decoder has the last word. What must be
rendered or parsed to become what a person sees (SVG, HTML, JSON, PDF, a playlist …) is
known here and read by nobody: its source text rated as prose would be a way to hide.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

import filetype

from capitoline.modalities.decoding.plaintext import legacy_encoding, unicode_encoding
from capitoline.modalities.schema import Modality


class Kind(StrEnum):
    PICTURE = "picture"
    FILM = "film"
    """A film or a sound: whatever the film decoder opens."""
    TEXT = "text"
    ARCHIVE = "archive"
    """An archive inside an archive, or one that no reader of sources opened."""
    FOREIGN = "foreign"
    """A format that is recognised and that nobody here reads."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file seems to be."""

    kind: Kind
    format: str
    """A MIME type, a text encoding, or a few words."""

    @property
    def modality(self) -> Modality | None:
        """The part of an item that is lost if the file cannot be decoded; None if that is not known."""
        if self.kind is Kind.TEXT:
            return Modality.TEXT
        major = self.format.partition("/")[0]
        return {"image": Modality.IMAGE, "video": Modality.VIDEO, "audio": Modality.AUDIO}.get(major)


PICTURES = frozenset(
    "image/" + name for name in ("jpeg", "png", "apng", "gif", "webp", "avif", "bmp", "tiff", "jpx", "x-icon")
)
FILMS_NOT = frozenset({"audio/midi"})
"""Notes for an instrument hold no sound."""
ARCHIVES = frozenset(
    "application/" + name
    for name in ("zip", "x-tar", "x-rar-compressed", "gzip", "x-bzip2", "x-7z-compressed", "x-xz", "zstd", "x-lz4")
)

MEDIA_SUFFIXES = {
    "picture": "jpg jpeg jpe jfif png apng gif webp avif heic heif jxl bmp tif tiff jp2 j2k ico tga dds psd exr svg",
    "film": "mp4 m4v mov mkv webm avi wmv flv mpg mpeg mts m2ts 3gp ogv",
    "sound": "mp3 m4a aac ogg oga opus flac wav wma aif aiff amr ape mpc wv mka",
}

PLAIN_PIXMAP = re.compile(r"P[1-7]\s")
"""A PNM picture, whose pixels may be written as decimal text."""
FOREIGN_TEXT = (
    (re.compile(r"<\?xml|<svg|<!doctype|<html|<!--|<head|<body", re.IGNORECASE), "markup (SVG, HTML, XML)"),
    (re.compile(r"#EXTM3U|\[playlist\]", re.IGNORECASE), "a playlist"),
    (re.compile(r"%!PS|%PDF|\{\\rtf"), "a document (PostScript, PDF, RTF)"),
    (re.compile(r"/\* XPM|#define \S+_width"), "a picture written as C source"),
    (re.compile(r"version https://git-lfs"), "a pointer to a file in Git LFS"),
)


def kind_of(data: bytes) -> Guess:
    """What the bytes of a file seem to be; `UNKNOWN` is worth a try by the film decoder."""
    encoding = unicode_encoding(data)
    if encoding is not None:
        return _kind_of_text(data, encoding)
    found = filetype.guess(data[:8192])
    if found is not None:
        return _kind_of_mime(found.mime)
    if PLAIN_PIXMAP.match(data[:3].decode("latin-1")):
        return Guess(Kind.PICTURE, "image/x-portable-anymap")
    encoding = legacy_encoding(data)
    return Guess(Kind.UNKNOWN, "an unknown format") if encoding is None else _kind_of_text(data, encoding)


def named_medium(name: str) -> str:
    """The medium that a file's name promises, or nothing: text under such a name is a pointer or an error page."""
    suffix = PurePosixPath(name).suffix.lower().removeprefix(".")
    return next((medium for medium, suffixes in MEDIA_SUFFIXES.items() if suffix in suffixes.split()), "")


def _kind_of_mime(mime: str) -> Guess:
    if mime in PICTURES:
        return Guess(Kind.PICTURE, mime)
    if mime in ARCHIVES:
        return Guess(Kind.ARCHIVE, mime)
    if mime.startswith(("video/", "audio/")) and mime not in FILMS_NOT:
        return Guess(Kind.FILM, mime)
    return Guess(Kind.FOREIGN, mime)


def _kind_of_text(data: bytes, encoding: str) -> Guess:
    head = data[:4096].decode(encoding, errors="ignore").lstrip("\ufeff \t\r\n")
    if PLAIN_PIXMAP.match(head):
        return Guess(Kind.PICTURE, "image/x-portable-anymap")
    for pattern, name in FOREIGN_TEXT:
        if pattern.match(head):
            return Guess(Kind.FOREIGN, name)
    if head.startswith(("{", "[")) and _is_json(data):
        return Guess(Kind.FOREIGN, "JSON that no item claims")
    return Guess(Kind.TEXT, encoding)


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
