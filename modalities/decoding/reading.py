"""The bytes of one file, from a disk, an object store, a tar or a zip, never more than a limit.

A member is found by the offset that the scan wrote down, without its archive's directory:
reading one of a million costs one seek, and members of an archive cut short can be read.
"""

from __future__ import annotations

import stat
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from capitoline.modalities.decoding.limits import UndecodableError, unsupported
from capitoline.modalities.schema import File, Storage

RATIO_FREE_BYTES = 16 << 20
"""Below this a member may be packed as densely as it likes: a blank picture is."""
CHUNK_BYTES = 65_536

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""signature, version, flags, method, time, date, CRC-32, packed size, size, length of name, length of extra
(PKWARE APPNOTE 6.3.10, section 4.3.7)."""
ENCRYPTED, SIZES_FOLLOW = 1 << 0, 1 << 3
"""Bits of the flags; the second puts CRC and sizes in a descriptor behind the data."""
STORED, DEFLATED = 0, 8


def read_file(file: File, limit: int, ratio: float = 200.0) -> bytes:
    """All bytes of `file`.

    Args:
        limit: most bytes; a zip member is never unpacked further than that.
        ratio: most unpacked ÷ packed bytes of a zip member above 16 MB.

    Raises:
        UndecodableError: missing, unreadable, cut short, damaged (CRC), encrypted or over a limit.
    """
    if file.size > limit:
        raise _too_large(limit)
    try:
        with _open(file.source) as stream:
            stream.seek(file.offset)
            if file.storage is Storage.ZIP:
                return _read_zip(stream, file, limit, ratio)
            return (
                _read_exactly(stream, file.size) if file.storage is Storage.TAR else _read_all(stream, file.size, limit)
            )
    except (OSError, ValueError, ImportError) as error:  # fsspec: ValueError, ImportError for unknown protocols
        raise UndecodableError(f"cannot be read: {error}") from error


def _open(source: str) -> BinaryIO:
    if "://" in source:
        from fsspec.core import url_to_fs

        filesystem, path = url_to_fs(source)
        return cast(BinaryIO, filesystem.open(path, "rb"))
    if not stat.S_ISREG(Path(source).stat().st_mode):  # opening a named pipe would wait for ever
        raise UndecodableError("not a regular file")
    return Path(source).open("rb")


def _too_large(limit: int) -> UndecodableError:
    return UndecodableError(f"larger than the limit of {limit:,} bytes")


def _read_all(stream: BinaryIO, size: int, limit: int) -> bytes:
    data = stream.read(size + 1)  # not `limit`, for which a buffer would be set aside
    if len(data) > size:
        data += stream.read(limit + 1 - len(data))  # it has grown since the scan
    if len(data) > limit:
        raise _too_large(limit)
    return data


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise UndecodableError(f"the archive is cut short: {len(data):,} of {size:,} bytes")
    return data


def _read_zip(stream: BinaryIO, file: File, limit: int, ratio: float) -> bytes:
    header = LOCAL_HEADER.unpack(_read_exactly(stream, LOCAL_HEADER.size))
    signature, _, flags, method, _, _, checksum, _, _, name_length, extra_length = header
    if signature != b"PK\3\4":
        raise UndecodableError("no member of the zip begins here")
    if flags & ENCRYPTED:
        raise unsupported("encrypted in the zip")
    _read_exactly(stream, name_length + extra_length)
    if method == STORED:
        data, rest = _read_exactly(stream, file.size), b""
    elif method == DEFLATED:
        data, rest = _inflate(stream, limit, ratio)
    else:
        raise unsupported(f"zip compression method {method}; repack with deflate")
    if flags & SIZES_FOLLOW:
        checksum = _described_checksum(rest + stream.read(max(0, 8 - len(rest))))
    if zlib.crc32(data) != checksum:
        raise UndecodableError("damaged in the zip: the CRC does not match")
    return data


def _inflate(stream: BinaryIO, limit: int, ratio: float) -> tuple[bytes, bytes]:
    """The member's bytes, and what was read beyond its packed end."""
    unpacker, unpacked, packed = zlib.decompressobj(-zlib.MAX_WBITS), bytearray(), 0
    while not unpacker.eof:
        chunk = unpacker.unconsumed_tail or stream.read(CHUNK_BYTES)
        if not chunk:
            raise UndecodableError("the archive is cut short inside this member")
        try:
            unpacked += unpacker.decompress(chunk, CHUNK_BYTES * 16)
        except zlib.error as error:
            raise UndecodableError(f"damaged in the zip: {error}") from error
        packed += len(chunk) - len(unpacker.unconsumed_tail)
        if len(unpacked) > limit:
            raise _too_large(limit)
        if len(unpacked) > max(RATIO_FREE_BYTES, ratio * packed):
            raise UndecodableError(f"unpacks to more than {ratio:g} times its packed size, as bombs do")
    return bytes(unpacked), unpacker.unused_data


def _described_checksum(descriptor: bytes) -> int:
    """CRC-32 of the data descriptor, whose signature is optional (APPNOTE 4.3.9)."""
    start = 4 if descriptor.startswith(b"PK\7\x08") else 0
    if len(descriptor) < start + 4:
        raise UndecodableError("the archive is cut short behind this member")
    return int.from_bytes(descriptor[start : start + 4], "little")
