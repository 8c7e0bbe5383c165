"""The wall clock of a job jumps, backwards and forwards, while it rates and commits. Nothing hangs on it."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.corpus import Corpus
from tests.faults.jobs import ENDED, PATIENCE, assert_equals_undisturbed, command, completed, running
from tests.faults.moments import Moment, Watch

pytestmark = pytest.mark.slow

YEAR = 365 * 86_400


class Clock:
    """The wall clock of processes that run in `environment`."""

    def __init__(self, folder: Path) -> None:
        library, offset = folder / "clock.so", folder / "offset"
        compiler = shutil.which("cc") or shutil.which("gcc")
        assert compiler, "a C compiler is needed, as for the kernels"
        source = Path(__file__).resolve().parent / "clock.c"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source)], check=True)
        offset.write_bytes(bytes(8))
        self._file = offset.open("r+b")
        self._shared = mmap.mmap(self._file.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}

    def jump_to(self, seconds: int) -> None:
        """So far from the true time."""
        self._shared[:] = struct.pack("l", seconds)

    def close(self) -> None:
        self._shared.close()
        self._file.close()


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    made = Clock(tmp_path)
    yield made
    made.close()


def test_the_clock_of_another_process_can_be_moved(clock: Clock) -> None:
    clock.jump_to(-YEAR)
    told = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        check=True,
        capture_output=True,
        env={**os.environ, **clock.environment},
    )
    assert float(told.stdout) == pytest.approx(time.time() - YEAR, abs=600)


def test_a_job_whose_clock_jumps_is_as_undisturbed_even_if_killed_in_between(
    clock: Clock, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = command([corpus.manifest], out, corpus.configs["fused"], "--where", "ray")
    watch = Watch(Moment.COMMIT, out, corpus.media)
    with running(arguments, clock.environment) as run:
        for offset in (-YEAR, 10 * YEAR, -3_600):
            assert watch.wait(1, run.process, PATIENCE)
            clock.jump_to(offset)
        assert watch.wait(1, run.process, PATIENCE)
    clock.jump_to(-2 * YEAR)
    assert completed(arguments, clock.environment).code in ENDED
    assert_equals_undisturbed(out, undisturbed, corpus)
