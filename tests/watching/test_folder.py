"""What counts as arrived in a folder or an object store, and that it does so once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread, Timer
from zipfile import ZipFile

import fsspec
import pytest

from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.watching.arrivals import ARRIVAL
from capitoline.pipelines.watching.folder import FolderSource, Patience
from capitoline.pipelines.watching.ledger import Ledger

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
QUICK = Patience(poll=0.02, settle=0.0, until_idle=0.2)


class Watched:
    """A folder, and what a watch of it has seen."""

    def __init__(self, folder: str, spool: Path) -> None:
        self.folder, self._spool = folder, spool
        self.rated: list[tuple[str, str]] = []

    def arrive(self, patience: Patience = QUICK) -> list[str]:
        """The ids of what arrives at a watch started now, after all that arrived at those before."""
        source = FolderSource(self.folder, Ledger(self.rated), ScanLimits(), self._spool, patience)
        items = [arrival.item for arrival in source.arrivals(Event())]
        self.rated += [(item.id, item.metadata[ARRIVAL]) for item in items]
        return [item.id for item in items]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(inbox: Path, tmp_path: Path) -> Watched:
    return Watched(str(inbox), tmp_path / "spool")


def write_slowly(path: Path, seconds: float) -> None:
    with path.open("w", encoding="utf-8") as file:
        for _ in range(int(seconds / 0.1)):
            file.write("more and ")
            file.flush()
            time.sleep(0.1)
        file.write("the end")


def test_what_was_rated_before_a_restart_does_not_arrive_again(inbox: Path, watched: Watched) -> None:
    (inbox / "deep").mkdir()
    for name in ("a.txt", "deep/b.txt"):
        (inbox / name).write_text(name)
    assert watched.arrive() == ["inbox/a.txt", "inbox/deep/b.txt"]
    (inbox / "c.txt").write_text("new")
    assert watched.arrive() == ["inbox/c.txt"]
    assert watched.arrive() == []


def test_a_file_that_is_still_being_written_is_not_read(inbox: Path, tmp_path: Path) -> None:
    source = FolderSource(str(inbox), Ledger([]), ScanLimits(), tmp_path, Patience(0.05, settle=1.0, until_idle=1.0))
    writer = Thread(target=write_slowly, args=(inbox / "a.txt", 2.0))
    writer.start()
    (arrival,) = source.arrivals(Event())
    assert not writer.is_alive()
    assert arrival.item.files[0].size == (inbox / "a.txt").stat().st_size


def test_a_watch_that_ends_at_once_when_idle_still_takes_what_is_settling(inbox: Path, watched: Watched) -> None:
    (inbox / "a.txt").write_text("new")
    assert watched.arrive(Patience(poll=0.02, settle=0.2, until_idle=0.0)) == ["inbox/a.txt"]


def test_a_file_renamed_into_the_folder_arrives_whole(inbox: Path, watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.txt").write_text("whole")
    (tmp_path / "elsewhere.txt").rename(inbox / "a.txt")
    assert watched.arrive() == ["inbox/a.txt"]


def test_a_file_written_to_again_is_another_item(inbox: Path, watched: Watched) -> None:
    (inbox / "a.txt").write_text("mild")
    (inbox / "a.txt@3").write_text("a name that a third version would have taken")
    assert sorted(watched.arrive()) == ["inbox/a.txt", "inbox/a.txt@3"]
    for number, text in enumerate(("not so mild", "even less", "least of all"), 1):
        (inbox / "a.txt").write_text(text)
        assert watched.arrive() == [f"inbox/a.txt@{(2, 4, 5)[number - 1]}"]


def test_a_picture_whose_prompt_comes_later_is_rated_again_with_it(inbox: Path, watched: Watched) -> None:
    shutil.copy(SAMPLES / "lake.jpg", inbox / "a.jpg")
    assert watched.arrive() == ["inbox/a.jpg"]
    (inbox / "a.txt").write_text("a lake")
    assert watched.arrive() == ["inbox/a.jpg@2"]


def test_the_members_of_an_archive_are_items(inbox: Path, watched: Watched) -> None:
    with ZipFile(inbox / "two.zip", "w") as archive:
        archive.writestr("a.txt", "one")
        archive.writestr("b.txt", "two")
    assert watched.arrive() == ["inbox/two.zip/a.txt", "inbox/two.zip/b.txt"]
    assert watched.arrive() == []


def test_a_watch_goes_on_when_the_folder_is_away_for_a_moment(inbox: Path, watched: Watched, tmp_path: Path) -> None:
    (inbox / "a.txt").write_text("here")
    away = Timer(0.3, lambda: (tmp_path / "away").rename(inbox))
    source = FolderSource(str(inbox), Ledger([]), ScanLimits(), tmp_path, Patience(0.05, 0.0, until_idle=1.0))
    inbox.rename(tmp_path / "away")
    away.start()
    assert [arrival.item.id for arrival in source.arrivals(Event())] == ["inbox/a.txt"]
    away.join()


def test_what_is_no_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("{}")
    with pytest.raises(ValueError, match="tail -F"):
        FolderSource(str(tmp_path / "lines.jsonl"), Ledger([]), ScanLimits(), tmp_path, QUICK)


@pytest.fixture
def stored() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    system.makedirs("/arriving")
    yield "memory://arriving"
    system.rm("/arriving", recursive=True)


def test_a_prefix_of_an_object_store_is_watched_like_a_folder(stored: str, tmp_path: Path) -> None:
    watched, system = Watched(stored, tmp_path / "spool"), fsspec.filesystem("memory")
    system.pipe("/arriving/a.txt", b"one")
    assert watched.arrive() == ["arriving/a.txt"]
    system.pipe("/arriving/deep/b.txt", b"two")
    assert watched.arrive() == ["arriving/deep/b.txt"]
    system.pipe("/arriving/a.txt", b"other")
    assert watched.arrive() == ["arriving/a.txt@2"]
    assert watched.arrive() == []
