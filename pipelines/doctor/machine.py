"""What the machine offers: Python, processor, memory, disk, cache folder, a hub within reach."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir
from threading import Thread
from urllib.parse import urlsplit

from capitoline.pipelines.doctor.check import Check, State
from capitoline.pipelines.units import gigabytes

HUB_SECONDS = 2.0
"""How long looking a hub up and connecting to it may take."""
MEMORY_BYTES = 4e9
"""With less, two processes that import torch and hold every expert swap."""
DISK_BYTES = 2e9
CONTROL_GROUP = Path("/sys/fs/cgroup")


def python() -> list[Check]:
    found = f"{platform.python_version()} at {sys.executable}; capitoline {version('capitoline')}"
    return [Check("Python", State.OK, found)]


def processor() -> list[Check]:
    import torch

    bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    features = f"{torch.backends.cpu.get_cpu_capability()}, {'with' if bf16 else 'without'} bf16"
    found = f"{usable_cores()} of {os.cpu_count()} cores usable; {platform.machine()}, {features}"
    return [Check("processor", State.OK, found)]


def usable_cores() -> int:
    """Cores that this process may run on, by its affinity and its control group's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = (_control("cpu.max") or "max 1").split()
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


def memory() -> list[Check]:
    limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    group = _control("memory.max") or "max"
    usable = limit if group == "max" else min(limit, int(group))
    advice = "" if usable >= MEMORY_BYTES else "run one lane: `running: {lanes: 1}` in the configuration"
    return [Check("memory", State.WARN if advice else State.OK, gigabytes(usable), advice)]


def disk() -> list[Check]:
    return [_space("disk here", Path.cwd()), _space("temporary files", Path(gettempdir()))]


def cache() -> list[Check]:
    """Where the exported encoder is kept. Without a folder to write to, no picture is rated."""
    from capitoline.modalities.vision.encoder import cache_folder

    try:
        return [Check("cache folder", State.OK, f"{cache_folder()}, writable")]
    except ValueError as error:
        return [Check("cache folder", State.MISSING, str(error), "set CAPITOLINE_CACHE to a folder you can write to")]


def hub() -> list[Check]:
    """Only looked for where weights might be downloaded: not if HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return [Check("hub", State.OK, "not asked: HF_HUB_OFFLINE is set")]
    if _reachable(constants.ENDPOINT):
        return [Check("hub", State.OK, f"{constants.ENDPOINT} can be reached")]
    advice = "shipped weights and installed wheels still work; set HF_HUB_OFFLINE=1 so that nothing waits for it"
    return [Check("hub", State.WARN, f"{constants.ENDPOINT} cannot be reached in {HUB_SECONDS:g} s", advice)]


def _reachable(address: str) -> bool:
    """Whether a connection is made in time; in a thread, because looking a name up knows no time limit."""
    parts, answers = urlsplit(address), []

    def connect() -> None:
        try:
            place = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection(place, HUB_SECONDS).close()
            answers.append(True)
        except OSError:
            pass

    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(HUB_SECONDS)
    return bool(answers)


def _space(name: str, place: Path) -> Check:
    free = shutil.disk_usage(place).free
    advice = "" if free >= DISK_BYTES else "free some space; a full disk stops a job, which then resumes"
    return Check(name, State.WARN if advice else State.OK, f"{gigabytes(free)} free at {place}", advice)


def _control(name: str) -> str:
    """A limit of the control group (Linux, version 2), or an empty string."""
    try:
        return (CONTROL_GROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
