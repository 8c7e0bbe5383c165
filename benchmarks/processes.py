"""Watches a command and all its descendants: CPU seconds and peak memory, together and by role."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE = 0.5  # seconds between looks

DRIVER = "driver"
ROLES = {"ray::LaneActor": "actor", "capitoline.modalities.decoding.decoder_process": "decoder"}
"""What a process's command line holds → its role. The command itself is the driver; others have none."""


@dataclass(frozen=True, slots=True)
class Usage:
    code: int
    """Exit code of the command."""
    wall_seconds: float
    cpu_seconds: float
    """User and system, of every process seen."""
    peak_bytes: int
    """Greatest sum of proportional set sizes: shared pages count once."""
    peak_of_role: Mapping[str, int]
    """Greatest resident set of any one process of a role, by the kernel's own high-water mark: a look between two
    peaks misses none, and pages that others share weigh the same whether they still live."""
    said: str
    """What it wrote to its standard error."""


def watch(command: Sequence[str]) -> Usage:
    """Runs `command` to its end."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        seen = _Seen(process)
        while process.poll() is None:
            seen.look()
            time.sleep(SAMPLE)
        wall = time.monotonic() - started
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    return Usage(process.returncode, wall, sum(seen.seconds.values()), seen.peak, seen.peak_of_role, said)


class _Seen:
    """What the looks at a process and its descendants have found so far."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.seconds: dict[tuple[int, float], float] = {}
        """CPU seconds of each process, which only grow."""
        self.peak = 0
        self.peak_of_role: dict[str, int] = {}

    def look(self) -> None:
        memory = 0
        for one in [self._process, *self._process.children(recursive=True)]:
            with suppress(psutil.Error):  # it may have ended between being listed and being asked
                memory += self._look_at(one)
        self.peak = max(self.peak, memory)

    def _look_at(self, one: psutil.Process) -> int:
        times, memory, role = one.cpu_times(), int(one.memory_full_info().pss), self._role(one)
        self.seconds[one.pid, one.create_time()] = times.user + times.system
        self.peak_of_role[role] = max(_high_water(one.pid), self.peak_of_role.get(role, 0))
        return memory

    def _role(self, one: psutil.Process) -> str:
        if one.pid == self._process.pid:
            return DRIVER
        line = " ".join(one.cmdline())
        return next((role for mark, role in ROLES.items() if mark in line), "")


def _high_water(process: int) -> int:
    """Bytes; 0 for a process that has just ended. See proc_pid_status(5)."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0
