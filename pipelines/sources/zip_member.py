"""What the records of a zip say about one member; shared by the walk and the salvage."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from capitoline.pipelines.sources.entries import Entry
from capitoline.pipelines.sources.names import printable

LOCAL_MAGIC = b"PK\x03\x04"
CENTRAL_MAGIC = b"PK\x01\x02"
ENCRYPTED, SIZES_FOLLOW, UTF8 = 0x1, 0x8, 0x800
"""Bits of the flags; the second puts the sizes in a descriptor behind the data."""
_ALL_ONES = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """An entry and its bytes as packed."""

    entry: Entry
    packed: int


def member_name(raw: bytes, flags: int) -> str:
    """Printable name. Without the UTF-8 flag many tools write UTF-8 all the same; else it is code page 437."""
    try:
        name = raw.decode("utf-8", "surrogateescape" if flags & UTF8 else "strict")
    except UnicodeDecodeError:
        name = raw.decode("cp437")
    return printable(name.removeprefix("./"))


def wide_fields(extra: bytes, *fields: int) -> tuple[int, ...]:
    """`fields`, those of them that are all ones taken in order from the 64-bit extra field (id 1)."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            wide = struct.iter_unpack("<Q", body[: len(body) // 8 * 8])
            return tuple(next(wide, (one,))[0] if one == _ALL_ONES else one for one in fields)
        at += 4 + length
    return fields
