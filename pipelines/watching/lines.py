"""JSON lines from a pipe: rows as in a manifest, read only as fast as they are rated."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator, Sequence
from threading import Event

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.rows import json_rows
from capitoline.pipelines.watching.admission import Admission
from capitoline.pipelines.watching.arrivals import GLANCE_SECONDS, Arrival

CHUNK_BYTES = 65_536


class PatientLines:
    """Lines of a pipe or file that may pause at any byte.

    It reads ahead by one chunk at most. When the watch stops or has been idle for too long it
    still gives the whole lines that it has read, and then an end.
    """

    def __init__(self, handle: int, stopping: Event, until_idle: float | None) -> None:
        """`handle` is a file descriptor, which stays open."""
        self._handle, self._stopping, self._until_idle = handle, stopping, until_idle
        self._buffer = bytearray()
        self._ended = False

    def readline(self, size: int, /) -> bytes:
        """The next line with its end, or `size` bytes of a longer one; empty at the end."""
        searched = 0
        while not (length := self._buffer.find(b"\n", searched) + 1) and len(self._buffer) < size:
            searched = len(self._buffer)
            if not self._read():
                # What has no end yet counts only where the input has ended, and not where it pauses.
                length = len(self._buffer) if self._ended else -1
                break
        length = min(length or size, size) if length >= 0 else 0
        line = bytes(self._buffer[:length])
        del self._buffer[:length]
        return line

    def _read(self) -> bool:
        """Whether another chunk came; False at the end, when stopping and after too long a pause."""
        started = time.monotonic()
        while not self._stopping.is_set():
            if select.select([self._handle], [], [], GLANCE_SECONDS)[0]:
                chunk = os.read(self._handle, CHUNK_BYTES)
                self._buffer += chunk
                self._ended = not chunk
                return bool(chunk)
            if self._until_idle is not None and time.monotonic() - started >= self._until_idle:
                return False
        return False


class LineSource:
    """JSON lines from a file descriptor, each with an id, a text, tags, paths of media."""

    repeats = False

    def __init__(self, handle: int, admission: Admission, until_idle: float | None) -> None:
        self._handle, self._admission, self._until_idle = handle, admission, until_idle

    def arrivals(self, stopping: Event) -> Iterator[Arrival]:
        """Items in the order of the lines, without those that have arrived before."""
        for row in json_rows(PatientLines(self._handle, stopping, self._until_idle)):
            item = self._admission(row, "line")
            if item is not None:
                yield Arrival(item)

    def acknowledge(self, items: Sequence[Item]) -> None:
        """A pipe has no way back."""

    def close(self) -> None:
        """The descriptor stays open: it is whoever gave it who closes it."""
