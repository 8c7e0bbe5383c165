"""Compressed files read under limits, and compressed tars laid out in the spool for random access."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from capitoline.pipelines.sources.limits import BrokenArchiveError, ScanLimits, check_unpacked
from capitoline.pipelines.sources.location import open_binary, version_of

_PIECE = 1 << 20


class _Source(Protocol):
    def read1(self, size: int = -1, /) -> bytes: ...


def _zstd(stream: BinaryIO) -> _Source:
    import zstandard

    return cast(_Source, zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True))


def _xz(stream: BinaryIO) -> _Source:
    return cast(_Source, lzma.LZMAFile(stream))


_OPENERS: dict[bytes, Callable[[BinaryIO], _Source]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": lambda stream: cast(_Source, bz2.BZ2File(stream)),
    b"\xfd7zXZ\x00": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
}


def is_compressed(head: bytes) -> bool:
    return head.startswith(tuple(_OPENERS))


class Unpacked(io.RawIOBase):
    """The unpacked bytes of a compressed file, in order.

    Raises:
        OSError: the file cannot be opened.
        BrokenArchiveError: while reading, when it is broken or unpacks beyond a limit; all that
            was readable before has then been returned.
    """

    def __init__(self, path: str, limits: ScanLimits) -> None:
        self._packed = open_binary(path)
        head = self._packed.read(8)
        self._packed.seek(0)
        opener = next(open_ for magic, open_ in _OPENERS.items() if head.startswith(magic))
        self._source = opener(self._packed)
        self._limits = limits
        self._unpacked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        try:
            piece = self._source.read1(len(buffer))
        except _broken() as error:
            raise BrokenArchiveError(f"its compression is broken after {self._unpacked} bytes: {error}") from error
        self._unpacked += len(piece)
        check_unpacked(self._unpacked, self._packed.tell(), self._limits)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._packed.close()
        super().close()


def _broken() -> tuple[type[Exception], ...]:
    """What the decompressors raise. Evaluated only after a failure, so zstandard costs no start-up."""
    from zstandard import ZstdError

    return EOFError, OSError, zlib.error, lzma.LZMAError, ZstdError


def unpacked_head(path: str, size: int, limits: ScanLimits) -> bytes:
    """The first `size` bytes once unpacked; fewer if it is broken there. Raises OSError."""
    with closing(Unpacked(path, limits)) as stream:
        return _readable(stream, size)


def _readable(stream: io.RawIOBase, size: int) -> bytes:
    head = b""
    try:
        while len(head) < size and (piece := stream.read(size - len(head))):
            head += piece
    except BrokenArchiveError:
        pass
    return head


class SpoolError(RuntimeError):
    """The spool cannot be written: the job's trouble (a full disk), not the archive's, so the job stops."""


def spool_tar(path: str, spool: Path, limits: ScanLimits) -> tuple[Path, str]:
    """Unpacks a compressed tar into `spool`, once: a later scan of the same version finds it there.

    Returns the uncompressed tar and why it ends early, or an empty string.
    Raises OSError where the source cannot be opened, SpoolError where the spool cannot be written.
    """
    spool.mkdir(parents=True, exist_ok=True)
    digest = blake2b(f"{path}\0{version_of(path)}\0{limits}".encode(), digest_size=16).hexdigest()
    target, why = spool / f"{digest}.tar", spool / f"{digest}.problem"
    if not target.exists():
        _unpack(path, target, why, limits)
    return target, why.read_text(encoding="utf-8") if why.exists() else ""


def _unpack(path: str, target: Path, why: Path, limits: ScanLimits) -> None:
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    with closing(Unpacked(path, limits)) as stream:
        try:
            _copy(stream, temporary, why)
            temporary.replace(target)
        except OSError as error:
            raise SpoolError(f"no room to unpack {path}: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)


def _copy(stream: Unpacked, temporary: Path, why: Path) -> None:
    with temporary.open("wb") as out:
        try:
            while piece := stream.read(_PIECE):
                out.write(piece)
        except BrokenArchiveError as error:
            why.write_text(str(error), encoding="utf-8")
        out.flush()
        os.fsync(out.fileno())
