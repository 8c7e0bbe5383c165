"""Watches a command and all its descendants: CPU seconds and peak memory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

SAMPLE = 0.5  # seconds between looks


@dataclass(frozen=True, slots=True)
class Usage:
    code: int
    """Exit code of the command."""
    wall_seconds: float
    cpu_seconds: float
    """User and system, of every process seen."""
    peak_bytes: int
    """Greatest sum of proportional set sizes: shared pages count once."""


def watch(command: Sequence[str]) -> Usage:
    """Runs `command` to its end."""
    started = time.monotonic()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds: dict[tuple[int, float], float] = {}
    peak = 0
    while process.poll() is None:
        peak = max(peak, _look(process, seconds))
        time.sleep(SAMPLE)
    return Usage(process.returncode, time.monotonic() - started, sum(seconds.values()), peak)


def _look(process: psutil.Process, seconds: dict[tuple[int, float], float]) -> int:
    """Notes the CPU seconds of each process, which only grow, and returns the memory of all."""
    memory = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):  # it may have ended between being listed and being asked
            times = one.cpu_times()
            seconds[one.pid, one.create_time()] = times.user + times.system
            memory += one.memory_full_info().pss
    return memory
