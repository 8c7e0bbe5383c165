"""Jobs as a user runs them, the processes that they consist of, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa

from capitoline.pipelines.store import Store
from tests.faults.corpus import Corpus

ENDED = (0, 3)
"""Exit codes of a job that came to its end: all rated, or some items unrated (the corpus has broken ones)."""
PATIENCE = 600.0
"""Seconds that a job may take on a machine that is busy with anything else."""
RECONNECT = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Seconds after which Ray ends the processes that cannot reach its GCS; 60 if not set."""


def command(paths: Sequence[Path], out: Path, config: Path, *more: str) -> list[str]:
    head = [sys.executable, "-m", "capitoline.pipelines.cli", "rate", *map(str, paths)]
    return [*head, "--out", str(out), "--config", str(config), "--quiet", *more]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a job ended."""

    code: int
    errors: str
    """What it said on its standard error."""


class Run:
    """One run of a job."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, RECONNECT: "3", **(environment or {})},
        )

    def ended(self, seconds: float = PATIENCE) -> Ended:
        """Waits for its end."""
        _, errors = self.process.communicate(timeout=seconds)
        return Ended(self.process.returncode, errors.decode(errors="replace"))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def running(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Run]:
    """A run that does not outlive its test."""
    run = Run(arguments, environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.kill()


def completed(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """The job, run to its end by one command."""
    with running(arguments, environment) as run:
        return run.ended()


def descendants(roots: Sequence[int], title: str) -> list[psutil.Process]:
    """Living processes below `roots` whose command line holds `title`, oldest first."""
    found = []
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            found += psutil.Process(root).children(recursive=True)
    return sorted((one for one in found if title in _title(one)), key=lambda one: one.pid)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.02)


def wait_for_shards(out: Path, count: int, run: Run) -> None:
    """Until `count` shards are committed."""

    def there() -> bool:
        assert run.process.poll() is None, f"the job ended before {count} shards were there: {run.ended()}"
        return len(Store(out).committed()) >= count

    wait_until(there, f"{count} shards in {out}")


def results(out: Path) -> dict[str, pa.Table]:
    """Every part by name, to the bit, without what differs from run to run: the seconds that were spent."""
    store = Store(out)
    parts = {shard: {"ratings": store.ratings(shard), "evidence": store.evidence(shard)} for shard in store.committed()}
    return {
        f"{table} {shard}": rows.drop_columns(["seconds"]).combine_chunks()
        for shard, tables in parts.items()
        for table, rows in tables.items()
    }


def committed_files(out: Path) -> dict[Path, tuple[int, int]]:
    """Inode and time of writing of each file of a committed shard."""
    store = Store(out)
    files = [store.part(table, shard) for shard in store.committed() for table in ("evidence", "ratings")]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def assert_equals_undisturbed(out: Path, undisturbed: Path, corpus: Corpus) -> None:
    """Every item once, in order, with equal results, and nothing half-written."""
    here, there = results(out), results(undisturbed)
    assert here.keys() == there.keys()
    different = [name for name, rows in here.items() if not rows.equals(there[name])]
    assert not different, f"not as in the undisturbed run: {', '.join(different)}"
    ids = [name for shard in range(len(here) // 2) for name in here[f"ratings {shard}"].column("item_id").to_pylist()]
    assert ids == [f"item {number}" for number in range(corpus.items)]
    left = [path for pattern in ("**/*.tmp", "new-*") for path in out.glob(pattern)]
    assert not left, f"left behind: {left}"


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def strike(victims: Sequence[psutil.Process]) -> None:
    """SIGKILL to all of them at once."""
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGKILL)
