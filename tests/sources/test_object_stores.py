"""Promises about fsspec URLs: the same items as from a disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import fsspec
import pytest

from capitoline.modalities.decoding.reading import read_file
from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.scan import scan

Scan = Callable[..., dict[str, Item]]


@pytest.fixture
def stored(tmp_path: Path, jpeg: bytes) -> Iterator[Path]:
    """A folder with all kinds of sources, copied to `memory://job`."""
    folder = tmp_path / "job"
    (folder / "media" / "deep").mkdir(parents=True)
    (folder / "media" / "a.jpg").write_bytes(jpeg)
    (folder / "media" / "a.txt").write_text("a fox")
    (folder / "media" / "deep" / "b.jpg").write_bytes(jpeg)
    (folder / "media" / ".hidden").write_bytes(jpeg)
    (folder / "m.jsonl").write_text('{"id": "x", "image": "media/a.jpg"}\n{"id": "y", "image": "gone.jpg"}\n')
    with ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("a.jpg", jpeg)
    shutil.make_archive(str(folder / "t"), "tar", folder / "media")
    shutil.make_archive(str(folder / "t"), "gztar", folder / "media")
    system = fsspec.filesystem("memory")
    system.put(str(folder), "/job", recursive=True)
    yield folder
    system.rm("/job", recursive=True)


@pytest.mark.parametrize("name", ["media", "media/a.jpg", "z.zip", "t.tar", "t.tar.gz", "m.jsonl", ""])
@pytest.mark.parametrize("scheme", ["memory://", "file://"])
def test_a_url_gives_what_the_disk_gives(scanned: Scan, stored: Path, name: str, scheme: str) -> None:
    url = f"memory://job/{name}" if scheme == "memory://" else f"file://{stored}/{name}"
    here, there = scanned(stored / name), scanned(url)
    assert list(here) == list(there)
    for ours, theirs in zip(here.values(), there.values(), strict=True):
        assert (ours.text, bool(ours.problem)) == (theirs.text, bool(theirs.problem))
        assert [read_file(one, 1 << 20) for one in ours.files] == [read_file(one, 1 << 20) for one in theirs.files]


def test_media_of_a_manifest_may_lie_in_a_stored_archive(scanned: Scan, stored: Path) -> None:
    found = scanned(stored / "m.jsonl", media_root="memory://job/t.tar.gz")
    assert "not in t.tar.gz" in found["x"].problem
    (stored / "n.jsonl").write_text('{"id": "x", "image": "a.jpg"}\n')
    assert not scanned(stored / "n.jsonl", media_root="memory://job/z.zip")["x"].problem
    assert not scanned(stored / "n.jsonl", media_root="memory://job/media")["x"].problem


def test_a_stored_manifest_may_not_leave_its_folder(scanned: Scan, stored: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/job/media/m.jsonl", b'{"id": "x", "image": "../z.zip"}\n{"id": "y", "image": "memory://job/z.zip"}\n')
    assert all("outside" in item.problem for item in scanned("memory://job/media/m.jsonl").values())


@pytest.mark.parametrize("url", ["memory://nothing/here", "nosuchscheme://x", "file:///nothing/here"])
def test_a_url_that_cannot_be_reached_is_the_users_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=r"there is no|cannot reach"):
        scan([url], ScanLimits(), tmp_path)
