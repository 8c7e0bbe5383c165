"""A process that reads untrusted bytes: the limits that the kernel keeps for it, how it starts, how it ended."""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

GRACE_SECONDS = 5
"""Of wall time beyond a limit, in which the process that asks may end this one and say why; should it be gone,
the kernel ends even a reader that hangs."""


def confine(memory_bytes: int) -> None:
    """From now on this process has no more address space than that, and leaves no core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Meanwhile the kernel ends this process after `seconds` of CPU, in all threads, or of the wall and a grace."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), most))
    signal.alarm(math.ceil(seconds) + GRACE_SECONDS)
    yield
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))


def environment() -> dict[str, str]:
    """This process's, with its import path, however it came by it, and one thread for numerical libraries."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def ending(code: int) -> str:
    """What the exit code of a process says, as the end of a sentence."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by signal {-code} ({signal.Signals(-code).name})"
