"""The members of a zip, by the offset of their local headers, record by record.

The walk is our own because `zipfile.ZipFile` keeps every member in memory and reads nothing
without the directory at the end. Without a sound directory the local headers are walked, and
what that loses is reported. Fields are named as in PKWARE's APPNOTE 6.3.10, section 4.3.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from capitoline.pipelines.sources.entries import Entry, lost
from capitoline.pipelines.sources.limits import BrokenArchiveError, ScanLimits, check_unpacked
from capitoline.pipelines.sources.location import open_binary
from capitoline.pipelines.sources.zip_member import (
    CENTRAL_MAGIC,
    ENCRYPTED,
    LOCAL_MAGIC,
    Member,
    member_name,
    wide_fields,
)
from capitoline.pipelines.sources.zip_salvage import salvaged_members

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_RECORD = struct.Struct("<4s6H3L5H2L")


def is_zip(head: bytes) -> bool:
    return head.startswith((LOCAL_MAGIC, b"PK\x05\x06"))


def zip_entries(path: str, limits: ScanLimits) -> Iterator[Entry]:
    """Entries in the order of the directory. Raises OSError where the zip cannot be read at all."""
    with open_binary(path) as stream:
        try:
            directory = _find_directory(stream)
            _check(stream, directory)
        except BrokenArchiveError as error:
            yield lost("", f"{error}; members were looked for without it and some may be lost")
            yield from _limited(salvaged_members(stream), stream, limits)
        else:
            yield from _limited(_members(stream, directory), stream, limits)


def _limited(members: Iterator[Member], stream: BinaryIO, limits: ScanLimits) -> Iterator[Entry]:
    """Entries as long as their sum stays within the limits; one over them alone is its own problem.

    Members that overlap (Fifield's bombs) declare more packed bytes together than the archive has.
    """
    archive, packed, unpacked = stream.seek(0, os.SEEK_END), 0, 0
    for number, member in enumerate(members):
        entry = _checked(member, limits)
        if not entry.problem:
            packed, unpacked = packed + member.packed, unpacked + entry.size
        try:
            check_unpacked(unpacked, archive, limits)
            if number >= limits.archive_members:
                raise BrokenArchiveError(f"has more members than archive_members = {limits.archive_members}")
            if packed > archive:
                raise BrokenArchiveError("has members that overlap")
        except BrokenArchiveError as error:
            yield lost("", f"the zip {error}; the members from number {number + 1} on are not rated")
            return
        yield entry


def _checked(member: Member, limits: ScanLimits) -> Entry:
    try:
        check_unpacked(member.entry.size, member.packed, limits)
    except BrokenArchiveError as error:
        return lost(member.entry.name, f"the member {error}")
    return member.entry


@dataclass(frozen=True, slots=True)
class _Directory:
    start: int
    length: int
    count: int
    prefix: int
    """Bytes before the archive proper, of a self-extracting one; offsets are counted from there."""


def _find_directory(stream: BinaryIO) -> _Directory:
    size = stream.seek(0, os.SEEK_END)
    tail_at = max(0, size - _END.size - 0xFFFF)
    stream.seek(tail_at)
    tail = stream.read()
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise BrokenArchiveError("the zip has no directory at its end")
    *_, count, length, offset, _ = _END.unpack_from(tail, found)
    end = tail_at + found
    if 0xFFFFFFFF in (length, offset) or tail[max(found - _LOCATOR_64.size, 0) :][:4] == b"PK\x06\x07":
        end, count, length, offset = _end_64(stream, end)
    prefix = end - length - offset
    if prefix < 0:
        raise BrokenArchiveError("the zip's directory does not lie where its end record says")
    return _Directory(offset + prefix, length, count, prefix)


def _end_64(stream: BinaryIO, end: int) -> tuple[int, int, int, int]:
    """Position of the 64-bit end record; the count, length and offset of the directory."""
    try:
        stream.seek(max(end - _LOCATOR_64.size, 0))
        magic, _, at, _ = _LOCATOR_64.unpack(stream.read(_LOCATOR_64.size))
        stream.seek(at if magic == b"PK\x06\x07" else end)
        magic, *_, count, length, offset = _END_64.unpack(stream.read(_END_64.size))
    except (struct.error, OSError, OverflowError, ValueError) as error:
        raise BrokenArchiveError("the zip's 64-bit end record is broken") from error
    if magic != b"PK\x06\x06":
        raise BrokenArchiveError("the zip's 64-bit end record is missing")
    return at, count, length, offset


def _check(stream: BinaryIO, directory: _Directory) -> None:
    """Raises BrokenArchiveError for a directory that does not hold what its end record declares."""
    count = sum(1 for _ in _records(stream, directory))
    if count & 0xFFFF != directory.count & 0xFFFF:  # old writers count 16 bits round
        raise BrokenArchiveError(f"the zip's directory lists {count} members of {directory.count}")


def _members(stream: BinaryIO, directory: _Directory) -> Iterator[Member]:
    for record, name, extra in _records(stream, directory):
        member = _member(record, name, extra, directory.prefix)
        if member is not None:
            yield member


def _records(stream: BinaryIO, directory: _Directory) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
    """Fixed fields, raw name and extra field of each. Raises BrokenArchiveError where there is no record."""
    at, end = directory.start, directory.start + directory.length
    while at < end:
        stream.seek(at)
        fixed = stream.read(_RECORD.size)
        if len(fixed) < _RECORD.size or not fixed.startswith(CENTRAL_MAGIC):
            raise BrokenArchiveError("the zip's directory is broken")
        record = _RECORD.unpack(fixed)
        name, extra, comment = record[10:13]
        rest = stream.read(name + extra)
        yield record, rest[:name], rest[name:]
        at += _RECORD.size + name + extra + comment
    if at != end:
        raise BrokenArchiveError("the zip's directory is broken at its end")


def _member(record: tuple[int, ...], raw: bytes, extra: bytes, prefix: int) -> Member | None:
    """The file that a directory record describes; None for a folder."""
    flags, packed, size, mode, offset = record[3], record[8], record[9], record[15] >> 16, record[16]
    size, packed, offset = wide_fields(extra, size, packed, offset)
    name = member_name(raw, flags)
    if raw.endswith(b"/") and size == 0:
        return None
    if flags & ENCRYPTED:
        return Member(lost(name, "encrypted; unpack it with its password to have it rated"), packed)
    if stat.S_ISLNK(mode):
        return Member(lost(name, "a link in the zip, not a file"), packed)
    return Member(Entry(name, size, prefix + offset), packed)
