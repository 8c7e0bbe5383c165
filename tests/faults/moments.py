"""Moments of a running job as its files show them: inotify(7), so nothing is polled and no moment is missed."""

from __future__ import annotations

import ctypes
import os
import re
import select
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from pathlib import Path

EVENT = struct.Struct("iIII")
"""Watch, mask, cookie, length of the name that follows (struct inotify_event)."""
BUFFER = 1 << 16


class On(IntFlag):
    """Of <sys/inotify.h>."""

    OPEN = 0x20
    CLOSE_NOWRITE = 0x10
    MOVED_TO = 0x80
    CREATE = 0x100


class Moment(StrEnum):
    """When a kill falls."""

    SCAN = "scan"
    """The manifest is being written."""
    DECODE = "decode"
    """A picture has been opened."""
    RATING = "rating"
    """A picture has been read; its batch is about to be rated."""
    COMMIT = "commit"
    """The ratings of a shard are being written."""
    BETWEEN = "between"
    """The evidence of a shard is in its place and its ratings are not."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What shows a moment: something that happens to a file in a folder."""

    folder: str
    on: On
    name: str


SIGHTS = {
    Moment.SCAN: Sight("out", On.CREATE, r"\.new-manifest\.parquet\..*"),
    Moment.DECODE: Sight("media", On.OPEN, r".*\.png"),
    Moment.RATING: Sight("media", On.CLOSE_NOWRITE, r".*\.png"),
    Moment.COMMIT: Sight("out/ratings", On.CREATE, r"\.part-.*"),
    Moment.BETWEEN: Sight("out/evidence", On.MOVED_TO, r"part-.*"),
}


class Watch:
    """Sees one kind of moment in a job's folders, from its construction on."""

    def __init__(self, moment: Moment, out: Path, media: Path) -> None:
        self._sight = SIGHTS[moment]
        folder = {"out": out, "out/ratings": out / "ratings", "out/evidence": out / "evidence", "media": media}
        place = folder[self._sight.folder]
        place.mkdir(parents=True, exist_ok=True)
        library = ctypes.CDLL(None, use_errno=True)
        self._handle = library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if library.inotify_add_watch(self._handle, os.fsencode(place), int(self._sight.on)) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {place}")

    def wait(self, count: int, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Until the moment has come `count` times; False if the process ended before.

        Raises:
            TimeoutError: neither happened within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while count > 0:
            if process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:g} s for {self._sight}")
            if select.select([self._handle], [], [], 0.2)[0]:
                count -= sum(1 for name in self._names() if re.fullmatch(self._sight.name, name))
        return True

    def close(self) -> None:
        os.close(self._handle)

    def _names(self) -> Iterator[str]:
        data = os.read(self._handle, BUFFER)
        while data:
            _, _, _, length = EVENT.unpack_from(data)
            yield os.fsdecode(data[EVENT.size : EVENT.size + length].rstrip(b"\0"))
            data = data[EVENT.size + length :]
