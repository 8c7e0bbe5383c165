"""SIGTERM and SIGINT as a request to stop in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopped_by_signals() -> Iterator[Event]:
    """An event that the first of these signals sets; a second one ends the process as if nobody had listened."""
    stopping = Event()
    before = {one: signal.getsignal(one) for one in SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()
        restore()

    def restore() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    for one in SIGNALS:
        signal.signal(one, stop)
    try:
        yield stopping
    finally:
        restore()
