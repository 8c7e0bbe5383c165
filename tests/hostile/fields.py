"""Where the length fields of a file lie: sizes, counts, rates and durations that a decoder believes."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Field(NamedTuple):
    """An unsigned number in a file."""

    offset: int
    size: int
    order: str
    """`>` or `<`, as `struct` has it."""


SIZES = {1: "B", 2: "H", 4: "L", 8: "Q"}
MOST_FIELDS = 200
"""Enough of any file; a large one has thousands that are all alike."""


def length_fields(data: bytes) -> list[Field]:
    """Those of the file's format, without those beyond its end; none for a format that is not known here."""
    for magic, find in FORMATS:
        if re.match(magic, data[:16], re.DOTALL):
            found = (field for field in find(data) if field.offset + field.size <= len(data))
            return [field for field, _ in zip(found, range(MOST_FIELDS), strict=False)]
    return []


def overwritten(data: bytes, field: Field, value: int) -> bytes:
    """`data` with another number in `field`; a PNG's checksums are made right, or nothing would believe it."""
    number = struct.pack(field.order + SIZES[field.size], value % (1 << 8 * field.size))
    changed = data[: field.offset] + number + data[field.offset + field.size :]
    return checked_png(changed) if changed.startswith(b"\x89PNG") else changed


def checked_png(data: bytes) -> bytes:
    """A PNG whose chunks, as far as their lengths lead, have right checksums."""
    fixed = bytearray(data)
    for start, length in _png_chunks(data):
        end = start + 8 + length
        if end + 4 <= len(data):
            fixed[end : end + 4] = struct.pack(">L", zlib.crc32(data[start + 4 : end]))
    return bytes(fixed)


def _png_chunks(data: bytes) -> Iterator[tuple[int, int]]:
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">L", data, at)
        yield at, length
        at += 12 + length


def _png(data: bytes) -> Iterator[Field]:
    for start, _ in _png_chunks(data):
        yield Field(start, 4, ">")
        if data[start + 4 : start + 8] in (b"IHDR", b"acTL", b"fcTL"):
            yield from (Field(start + 8 + 4 * number, 4, ">") for number in range(3))


def _jpeg(data: bytes) -> Iterator[Field]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        yield Field(at + 2, 2, ">")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            yield from (Field(at + 5, 2, ">"), Field(at + 7, 2, ">"), Field(at + 9, 1, ">"))
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _gif(data: bytes) -> Iterator[Field]:
    yield from (Field(offset, 2, "<") for offset in (6, 8))
    for found in re.finditer(rb"\x00\x2c.{8}", data, re.DOTALL):
        yield from (Field(found.start() + 2 + 2 * number, 2, "<") for number in range(4))


def _riff(data: bytes) -> Iterator[Field]:
    """WebP, WAV and AVI: every chunk's size, and what the formats' headers declare."""
    yield Field(4, 4, "<")
    at = 12
    while at + 8 <= len(data):
        yield Field(at + 4, 4, "<")
        if data[at : at + 4] == b"fmt ":
            yield from (Field(at + 10, 2, "<"), Field(at + 12, 4, "<"), Field(at + 16, 4, "<"), Field(at + 20, 2, "<"))
        elif data[at : at + 4] in (b"VP8X", b"VP8 ", b"VP8L", b"ANMF"):
            yield from (Field(at + 8 + 2 * number, 2, "<") for number in range(6))
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")


def _boxes(data: bytes) -> Iterator[Field]:
    """MP4 and AVIF: the sizes of boxes, wherever their names stand, and the numbers that those hold first."""
    names = rb"ftyp|moov|mvhd|trak|tkhd|mdhd|stts|stsc|stsz|stco|co64|ctts|elst|mdat|stsd|avc1|mp4a|meta|iloc|ispe"
    for found in re.finditer(names, data):
        yield Field(found.start() - 4, 4, ">")
        if found.group() not in (b"ftyp", b"moov", b"trak", b"mdat"):
            yield from (Field(found.end() + 4 * number, 4, ">") for number in range(1, 7))


def _zip(data: bytes) -> Iterator[Field]:
    layouts = {b"PK\x03\x04": ((14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
               b"PK\x01\x02": ((20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (42, 4)),
               b"PK\x05\x06": ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2))}  # fmt: skip
    for found in re.finditer(rb"PK(?:\x03\x04|\x01\x02|\x05\x06)", data):
        yield from (Field(found.start() + offset, size, "<") for offset, size in layouts[found.group()])


def _bmp(data: bytes) -> Iterator[Field]:
    yield from (Field(offset, 4, "<") for offset in (2, 10, 14, 18, 22, 34, 46))


def _tiff(data: bytes) -> Iterator[Field]:
    """The count and value of each entry of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    start = int.from_bytes(data[4:8], "little" if order == "<" else "big")
    yield Field(4, 4, order)
    yield from (Field(start + 2 + 12 * number + offset, 4, order) for number in range(20) for offset in (4, 8))


FORMATS: tuple[tuple[bytes, Callable[[bytes], Iterator[Field]]], ...] = (
    (rb"\x89PNG", _png),
    (rb"\xff\xd8\xff", _jpeg),
    (rb"GIF8", _gif),
    (rb"RIFF", _riff),
    (rb"....ftyp", _boxes),
    (rb"PK\x03\x04", _zip),
    (rb"BM", _bmp),
    (rb"II\*\0|MM\0\*", _tiff),
)
