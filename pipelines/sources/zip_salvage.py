"""The members of a zip whose directory is lost, by walking from local header to local header."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from capitoline.pipelines.sources.entries import Entry, lost
from capitoline.pipelines.sources.zip_member import (
    CENTRAL_MAGIC,
    ENCRYPTED,
    LOCAL_MAGIC,
    SIZES_FOLLOW,
    Member,
    member_name,
    wide_fields,
)

_LOCAL = struct.Struct("<4s5H3L2H")
_DESCRIPTOR = struct.Struct("<4s3L")
_PIECE = 1 << 20


def salvaged_members(stream: BinaryIO) -> Iterator[Member]:
    """Members in the order of the file. One inside a stored inner zip may come up too: rated rather than lost."""
    end = stream.seek(0, os.SEEK_END)
    at = _search(stream, LOCAL_MAGIC, 0, end)
    while at < end:
        stream.seek(at)
        fixed = stream.read(_LOCAL.size)
        if len(fixed) < _LOCAL.size:
            return
        _, _, flags, _, _, _, _, packed, size, name_length, extra_length = _LOCAL.unpack(fixed)
        name = member_name(stream.read(name_length), flags)
        size, packed = wide_fields(stream.read(extra_length), size, packed)
        start = at + _LOCAL.size + name_length + extra_length
        if flags & SIZES_FOLLOW:
            size, packed = _described(stream, start, end)
        if not (name.endswith("/") and size == 0):
            yield Member(_entry(name, size, at, flags, end - start - packed), packed)
        at = _search(stream, LOCAL_MAGIC, min(start + packed, end), end)


def _entry(name: str, size: int, at: int, flags: int, behind: int) -> Entry:
    if flags & ENCRYPTED:
        return lost(name, "encrypted; unpack it with its password to have it rated")
    if behind < 0:
        return lost(name, f"cut off: {-behind} packed bytes are missing")
    return Entry(name, size, at)


def _described(stream: BinaryIO, start: int, end: int) -> tuple[int, int]:
    """Size and packed size of a member whose header leaves them to the descriptor behind the data.

    Without a readable descriptor all bytes up to the next header are taken; unpacking finds the end.
    """
    behind = min(_search(stream, LOCAL_MAGIC, start, end), _search(stream, CENTRAL_MAGIC, start, end))
    stream.seek(max(start, behind - _DESCRIPTOR.size))
    raw = stream.read(_DESCRIPTOR.size)
    if len(raw) == _DESCRIPTOR.size and raw.startswith(b"PK\x07\x08"):
        _, _, packed, size = _DESCRIPTOR.unpack(raw)
        if packed == behind - start - _DESCRIPTOR.size:
            return size, packed
    return behind - start, behind - start


def _search(stream: BinaryIO, magic: bytes, start: int, end: int) -> int:
    """Position of the next `magic` from `start` on, else `end`."""
    while start < end:
        stream.seek(start)
        piece = stream.read(_PIECE)
        found = piece.find(magic)
        if found >= 0:
            return start + found
        if len(piece) < len(magic):
            return end
        start += len(piece) - len(magic) + 1
    return end
