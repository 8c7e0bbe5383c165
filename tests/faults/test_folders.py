"""What happens to the output folder under a job: it fills up, goes away, or is wanted by another driver."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.corpus import Corpus
from tests.faults.jobs import ENDED, PATIENCE, Run, assert_equals_undisturbed, command, completed, results, running
from tests.faults.moments import Moment, Watch

pytestmark = pytest.mark.slow

DISK = "1m"
"""Several times what the job writes, so that a full disk is full of something else."""


class Disk(Protocol):
    """Where a job writes, and how it runs out of room."""

    folder: Path

    def fill(self, run: Run) -> None: ...

    def make_room(self) -> None: ...


class SmallDisk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)

    def fill(self, run: Run) -> None:
        with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


class NoLongFiles:
    """Where mounting is not allowed: the driver's files may not grow, which fails its writing all the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, run: Run) -> None:
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (64, 64))

    def make_room(self) -> None:
        """The limit ends with the run."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        small = SmallDisk(tmp_path)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"no mount here ({error}): the full disk is a limit on the size of files")
        yield NoLongFiles(tmp_path)
        return
    yield small
    small.close()


def hold_at(moment: Moment, count: int, run: Run, out: Path, corpus: Corpus) -> None:
    """Stops the driver when the moment has come so many times."""
    watch = Watch(moment, out, corpus.media)
    assert watch.wait(count, run.process, PATIENCE), f"the job ended before: {run.ended()}"
    watch.close()
    run.process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("moment", [Moment.SCAN, Moment.COMMIT])
def test_a_full_disk_ends_the_job_with_a_word_and_it_continues_when_there_is_room(
    moment: Moment, disk: Disk, corpus: Corpus, undisturbed: Path
) -> None:
    out = disk.folder / "out"
    arguments = command([corpus.manifest], out, corpus.configs["fused"], "--where", "process")
    with running(arguments) as run:
        hold_at(moment, 1, run, out, corpus)
        disk.fill(run)
        run.process.send_signal(signal.SIGCONT)
        ended = run.ended()
    assert ended.code == 1, ended
    assert "run the same command to continue" in ended.errors
    assert "Traceback" not in ended.errors
    disk.make_room()
    assert completed(arguments).code in ENDED
    assert_equals_undisturbed(out, undisturbed, corpus)


@pytest.mark.parametrize("moment", [Moment.RATING, Moment.BETWEEN])
def test_a_job_whose_folder_disappears_stops_and_leaves_its_successor_alone(
    moment: Moment, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = command([corpus.manifest], out, corpus.configs["fused"], "--where", "process")
    other = command([corpus.media], out, corpus.configs["fused"], "--where", "process")
    with running(arguments) as run:
        hold_at(moment, 3, run, out, corpus)
        shutil.rmtree(out)
        assert completed(other).code in ENDED
        successor = results(out)
        run.process.send_signal(signal.SIGCONT)
        ended = run.ended()
    assert ended.code == 1, ended
    assert "run the same command to continue" in ended.errors
    assert results(out).keys() == successor.keys()
    assert all(rows.equals(successor[name]) for name, rows in results(out).items())
    refused = completed(arguments)
    assert refused.code == 2
    assert "holds another job" in refused.errors


def test_a_job_whose_folder_is_gone_says_so_and_starts_again(corpus: Corpus, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = command([corpus.manifest], out, corpus.configs["fused"], "--where", "process")
    with running(arguments) as run:
        hold_at(Moment.RATING, 3, run, out, corpus)
        shutil.rmtree(out)
        run.process.send_signal(signal.SIGCONT)
        ended = run.ended()
    assert ended.code == 1, ended
    assert f"{out} was removed or replaced" in ended.errors
    assert not out.exists()
    assert completed(arguments).code in ENDED
    assert_equals_undisturbed(out, undisturbed, corpus)


def test_a_second_driver_on_one_output_is_refused_and_the_first_is_not_disturbed(
    corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = command([corpus.manifest], out, corpus.configs["fused"], "--where", "process")
    with running(arguments) as first:
        hold_at(Moment.COMMIT, 1, first, out, corpus)
        second = completed(arguments)
        assert second.code == 2
        assert f"another job is writing to {out}; wait for it or choose another --out" in second.errors
        first.process.send_signal(signal.SIGCONT)
        assert first.ended().code in ENDED
    assert_equals_undisturbed(out, undisturbed, corpus)
