"""An archive that is rewritten while a job reads it: no member is ever rated by the bytes of another."""

from __future__ import annotations

import shutil
import signal
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capitoline.modalities.schema import UNRATED
from capitoline.pipelines.store import read_ratings
from tests.faults.corpus import Corpus
from tests.faults.jobs import ENDED, PATIENCE, command, completed, running
from tests.faults.moments import Moment, Watch

pytestmark = pytest.mark.slow

MEMBERS = 60
TEXTS = ("A boy and his dog spend a summer at the lake.", "He hacks them to pieces, blood and gore everywhere.")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_of_an_archive_that_changes_under_the_job_are_errors_until_rated_again(
    kind: str, corpus: Corpus, tmp_path: Path
) -> None:
    archive, out, whole = tmp_path / f"texts.{kind}", tmp_path / "out", tmp_path / "whole"
    write = WRITERS[kind]
    write(archive, _members())
    arguments = command([archive], out, corpus.configs["fused"], "--where", "process")
    assert completed(command([archive], whole, corpus.configs["fused"], "--where", "process")).code in ENDED
    shutil.copy(archive, tmp_path / "kept")
    watch = Watch(Moment.COMMIT, out, corpus.media)
    with running(arguments) as run:
        assert watch.wait(2, run.process, PATIENCE)
        run.process.send_signal(signal.SIGSTOP)
        write(tmp_path / "other", list(reversed(_members())))
        (tmp_path / "other").replace(archive)
        run.process.send_signal(signal.SIGCONT)
        ended = run.ended()
    assert ended.code == 3, ended
    expected, found = _ratings(whole), _ratings(out)
    errors = {name for name, row in found.items() if row != expected[name]}
    assert errors
    assert all((found[name]["rating"], found[name]["failed"]) == (UNRATED, True) for name in errors)

    refused = completed(arguments)
    assert refused.code == 2
    assert "items that are new, gone or of another size: texts" in refused.errors
    (tmp_path / "kept").replace(archive)
    assert completed([*arguments, "--retry-errors"]).code in ENDED
    assert _ratings(out) == expected


def _members() -> list[tuple[str, bytes]]:
    """Short texts of one length, mild and explicit in turns, so that offsets fit whatever their order."""
    texts = [f"{TEXTS[number % 2]} {number}".ljust(80).encode() for number in range(MEMBERS)]
    return [(f"{number:03}.txt", text) for number, text in enumerate(texts)]


def _write_zip(path: Path, members: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)


def _write_tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            source = path.with_name("member")
            source.write_bytes(data)
            archive.add(source, name)


WRITERS: dict[str, Callable[[Path, list[tuple[str, bytes]]], None]] = {"zip": _write_zip, "tar": _write_tar}


def _ratings(out: Path) -> dict[str, dict[str, Any]]:
    tables = [table.drop_columns(["seconds"]) for table in read_ratings(out)]
    return {row["item_id"]: row for table in tables for row in table.to_pylist()}
