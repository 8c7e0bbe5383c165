"""The members of an uncompressed tar, by offset, header by header.

The walk is our own because `tarfile.TarFile` keeps every member in memory, reads a long-name
record of any declared size, and stops at the first bad header; only the parsing of a header is
`tarfile`'s. After a bad header the walk goes on at the next good one and reports what it lost.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from capitoline.pipelines.sources.entries import Entry, lost
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.location import open_binary
from capitoline.pipelines.sources.names import printable

BLOCK = 512
_RECORD = 1 << 20
"""Bytes that a long-name or extended-header record may declare."""
_MAGIC = b"ustar"
_MAGIC_AT = 257
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


def is_tar(head: bytes) -> bool:
    """Whether `head` (a block or more) begins with a tar header; its checksum decides."""
    return _parsed(head[:BLOCK]) is not None


def tar_entries(path: str, limits: ScanLimits) -> Iterator[Entry]:
    """Entries in the order of the archive. Raises OSError where it cannot be read at all."""
    with open_binary(path) as stream:
        for number, entry in enumerate(_Walk(stream).entries()):
            if number >= limits.archive_members:
                yield lost("", f"more members than archive_members = {limits.archive_members}; the rest is not rated")
                return
            yield entry


@dataclass
class _Extended:
    """What the records before a header say about it."""

    name: str | None = None
    size: int | None = None
    sparse: bool = False


class _Walk:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._end = stream.seek(0, os.SEEK_END)
        self._at = 0

    def entries(self) -> Iterator[Entry]:
        extended, ended = _Extended(), False
        while block := self._read(self._at, BLOCK):
            header = _parsed(block)
            if header is None:
                mark = len(block) == BLOCK and not block.strip(b"\0")
                ended = ended or mark
                yield from self._next_header(is_mark=mark)
                extended = _Extended()
            elif header.type in _RECORDS:
                self._record(header, extended)
            else:
                yield from self._member(header, extended)
                extended = _Extended()
        if not ended:
            yield lost("", "the tar ends without its end mark; members after the last one here may be lost")

    def _member(self, header: tarfile.TarInfo, extended: _Extended) -> Iterator[Entry]:
        name = printable((extended.name or header.name).removeprefix("./"))
        size = header.size if extended.size is None else extended.size
        start = self._at + BLOCK * (1 + self._sparse_blocks(header))
        self._at = start + _padded(size)
        if header.isdir():
            return
        if header.type not in _FILES and not header.issparse():
            yield lost(name, f"a link or device in the tar (type {header.type!r}), not a file")
        elif header.issparse() or extended.sparse:
            yield lost(name, "a sparse file in the tar; pack it without holes to have it rated")
        elif start + size > self._end:
            yield lost(name, f"cut off: {max(self._end - start, 0)} of {size} bytes are in the tar")
        else:
            yield Entry(name, size, start)

    def _record(self, header: tarfile.TarInfo, extended: _Extended) -> None:
        body = self._read(self._at + BLOCK, header.size) if header.size <= _RECORD else b""
        self._at += BLOCK + _padded(header.size)
        if header.type == tarfile.GNUTYPE_LONGNAME:
            extended.name = body.rstrip(b"\0").decode(errors="surrogateescape")
        elif header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            _read_extended(body, extended)

    def _sparse_blocks(self, header: tarfile.TarInfo) -> int:
        """Blocks of the hole map between an old GNU sparse header and its data."""
        if not header.issparse():
            return 0
        count, more = 0, self._read(self._at, BLOCK)[482:483]
        while more.strip(b"\0"):
            count += 1
            more = self._read(self._at + BLOCK * count, BLOCK)[504:505]
        return count

    def _next_header(self, is_mark: bool) -> Iterator[Entry]:
        """Moves to the next good header, or to the end; an entry for what is between, unless it is an end's zeros."""
        start = self._at
        self._at, zeros = self._search(start + BLOCK)
        between = min(self._at, self._end) - start
        if not (is_mark and zeros):
            yield lost(f"({between} bytes at {start})", f"no readable header in {between} bytes of the tar")

    def _search(self, start: int) -> tuple[int, bool]:
        """Position of the next block from `start` on with a good header, and whether only zeros are before it."""
        zeros = True
        while piece := self._read(start, _RECORD):
            found = _header_in(piece)
            zeros = zeros and not piece[:found].strip(b"\0")
            if found is not None:
                return start + found, zeros
            start += len(piece)
        return self._end, zeros

    def _read(self, start: int, size: int) -> bytes:
        self._stream.seek(start)
        return self._stream.read(size)


_RECORDS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
    b"V",  # the name of a GNU volume
)


def _parsed(block: bytes) -> tarfile.TarInfo | None:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return header if header.size >= 0 else None


def _header_in(piece: bytes) -> int | None:
    found = piece.find(_MAGIC)
    while found >= 0:
        block = found - _MAGIC_AT
        if block >= 0 and block % BLOCK == 0 and _parsed(piece[block : block + BLOCK]) is not None:
            return block
        found = piece.find(_MAGIC, found + 1)
    return None


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _read_extended(body: bytes, extended: _Extended) -> None:
    """Fills `extended` from a pax record: lines `length key=value`, of which the length counts itself."""
    while body:
        length, _, _ = body.partition(b" ")
        if not length.isdigit() or not len(length) < int(length[:8]) <= len(body):
            return
        key, _, value = body[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"path":
            extended.name = value.decode(errors="surrogateescape")
        elif key == b"size" and value.isdigit():
            extended.size = int(value[:18])
        elif key.startswith(b"GNU.sparse"):
            extended.sparse = True
        body = body[int(length) :]
