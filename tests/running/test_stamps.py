"""An archive that changes is not rated by what was scanned of it, from before the scan has opened it."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import Decoded, Item
from capitoline.pipelines.assembly import build_decider
from capitoline.pipelines.records import Decide, Record, culprit
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.scan import scan
from capitoline.pipelines.stamps import Stamps

MEMBERS = ("a.txt", "b.txt", "c.txt")


@pytest.fixture(params=["", "gz"])
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / ("texts.tar" + ("." + request.param if request.param else ""))
    _write(path, request.param)
    return path


def test_an_archive_that_nobody_touches_is_trusted(archive: Path, tmp_path: Path) -> None:
    stamps = Stamps()
    assert _lost(stamps, _scanned(archive, tmp_path, stamps.take)) == []


def test_one_that_changes_once_the_scan_goes_to_open_it_is_not(archive: Path, tmp_path: Path) -> None:
    stamps = Stamps()

    def take_and_change(path: str) -> None:
        stamps.take(path)
        _write(archive, archive.suffix.removeprefix(".").removeprefix("tar"))

    items = _scanned(archive, tmp_path, take_and_change)
    # A compressed one is read from its unpacked copy, which is of one piece.
    members = [] if archive.suffix == ".gz" else [f"texts.tar/{name}" for name in MEMBERS]
    assert _lost(stamps, items) == members


def _write(path: Path, compression: str) -> None:
    source = path.with_name("member")
    path.unlink(missing_ok=True)
    with tarfile.open(path, f"w:{compression}") as tar:  # type: ignore[call-overload]
        for name in MEMBERS:
            source.write_text(f"A text in {name}.")
            tar.add(source, name)


def _scanned(archive: Path, folder: Path, opening: Callable[[str], None]) -> list[Item]:
    return list(scan([str(archive)], ScanLimits(), folder / "spool", opening=opening))


def _lost(stamps: Stamps, items: list[Item]) -> list[str]:
    """Ids of the items that are not trusted."""
    lost: list[str] = []

    def lose(item: Item, reason: str) -> Record:
        assert reason.endswith("changed after the scan")
        lost.append(item.id)
        return culprit(build_decider(Settings()), item, reason)

    stamps.trusted(Decide(build_decider(Settings()))([Decoded(item, "") for item in items]), lose)
    return lost
