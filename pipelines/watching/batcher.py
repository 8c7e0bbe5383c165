"""Arrivals gathered into micro-batches: full ones at once, others when their oldest item has waited long enough.

What waits is bounded, in items and in characters. When it is full, whoever brings more waits:
standard input is not read any further, a folder is not looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Condition, Event

from capitoline.pipelines.manifest import item_bytes
from capitoline.pipelines.watching.arrivals import GLANCE_SECONDS, Arrival


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is decided, and how much may wait."""

    batch_items: int
    batch_bytes: int
    """Media bytes before decoding; a larger item travels alone."""
    max_wait: float
    """Seconds that an item waits for others."""
    queue_items: int
    queue_characters: int = 64 << 20
    """Of the waiting items' texts; a longer one waits alone."""


class Batcher:
    """The queue between the thread that reads the source and the one that rates."""

    def __init__(self, limits: BatchLimits, abandoned: Event) -> None:
        """Once `abandoned` is set nothing is taken and nothing given out: what waits will arrive again."""
        self._limits, self._abandoned = limits, abandoned
        self._waiting: list[Arrival] = []
        self._characters = 0
        self._changed = Condition()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, arrival: Arrival) -> bool:
        """Adds an arrival, once there is room; False if nothing is taken any more."""
        weight = len(arrival.item.text or "")
        with self._changed:
            while not self._ended and not self._has_room(weight):
                self._changed.wait(GLANCE_SECONDS)
            if self._ended:
                return False
            self._waiting.append(arrival)
            self._characters += weight
            self._changed.notify_all()
            return True

    def close(self, error: BaseException | None = None) -> None:
        """Takes nothing more; what waits is still given out, and then `error` is raised, if there is one."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def next(self, patient: bool = True) -> list[Arrival]:
        """The next batch, in the order of arrival.

        Empty at the end, and, if not `patient`, whenever none is due.
        """
        with self._changed:
            while (count := self._due()) == 0 and patient and not self._ended:
                self._changed.wait(GLANCE_SECONDS)
            batch, self._waiting = self._waiting[:count], self._waiting[count:]
            self._characters -= sum(len(one.item.text or "") for one in batch)
            self._changed.notify_all()
        if not batch and self._error is not None:
            raise self._error
        return batch

    @property
    def depth(self) -> int:
        """Items that wait."""
        return len(self._waiting)

    @property
    def oldest_wait(self) -> float:
        """Seconds that the oldest item has been waiting; 0 if none is."""
        waiting = self._waiting[:1]
        return time.monotonic() - waiting[0].since if waiting else 0.0

    @property
    def _ended(self) -> bool:
        return self._closed or self._abandoned.is_set()

    def _has_room(self, weight: int) -> bool:
        limits = self._limits
        fits = self._characters + weight <= limits.queue_characters
        return not self._waiting or (len(self._waiting) < limits.queue_items and fits)

    def _due(self) -> int:
        """How many items make the next batch; 0 if they should wait for others."""
        if self._abandoned.is_set():
            return 0
        count = self._fitting()
        full = count < len(self._waiting) or count == self._limits.batch_items
        return count if full or self._closed or self.oldest_wait >= self._limits.max_wait else 0

    def _fitting(self) -> int:
        """How many of the first items fit into one batch."""
        size = 0
        for count, arrival in enumerate(self._waiting[: self._limits.batch_items]):
            size += item_bytes(arrival.item)
            if count and (size > self._limits.batch_bytes or arrival.alone or self._waiting[0].alone):
                return count
        return min(len(self._waiting), self._limits.batch_items)
