"""A manifest fetches nothing and reads nothing outside its folder, by whatever way it is written."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

from capitoline.configs.settings import Settings, TextExpert
from capitoline.modalities.schema import UNRATED
from capitoline.pipelines import rate, rate_request
from capitoline.pipelines.job import Request
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.scan import scan
from capitoline.pipelines.store import read_ratings
from tests.hostile.browser import canary

ONLY_TEXT = Settings(experts=(TextExpert(),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with links that lead out of it, and a secret beside it."""
    (tmp_path / "secret.txt").write_text("a secret", encoding="utf-8")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b.txt").write_text("another secret", encoding="utf-8")
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("a picnic at the lake", encoding="utf-8")
    (root / "file-link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "folder-link").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("..")
    (root / "chain.txt").symlink_to(root / "deep" / "chain.txt")
    (root / "deep" / "chain.txt").symlink_to("../../secret.txt")
    return root


def manifest(folder: Path, *paths: str) -> Path:
    rows = [{"id": str(number), "text": "a text", "media": path} for number, path in enumerate(paths)]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "m.jsonl"


def test_links_and_detours_are_followed_to_their_end_and_refused(folder: Path) -> None:
    secret = folder.parent / "secret.txt"
    outside = ("file-link.txt", "folder-link/b.txt", "up/secret.txt", "chain.txt", "deep/../../secret.txt",
               "../secret.txt", "folder-link/../secret.txt", "./../secret.txt", "deep/./.././../secret.txt",
               str(secret), f"file://{secret}", "/proc/self/environ", "up/root/../secret.txt")  # fmt: skip
    inside = ("a.txt", "deep/../a.txt", "./a.txt", "up/root/a.txt")
    items = list(scan([str(manifest(folder, *outside, *inside))], ScanLimits(), folder / "spool"))
    assert [bool(item.problem) for item in items] == [True] * len(outside) + [False] * len(inside)
    assert not any(item.files for item in items[: len(outside)])


def test_addresses_are_not_asked_unless_that_is_allowed(folder: Path) -> None:
    with canary() as (address, asked):
        paths = (f"{address}/x.txt", f"{address.upper()}/x.txt", f"simplecache::{address}/x.txt", f"{address}/x.zip")
        found = rate(str(manifest(folder, *paths)), folder.parent / "refused", ONLY_TEXT)
        assert not asked
        assert found.unrated == found.items == len(paths)
        ratings = [row for table in read_ratings(folder.parent / "refused") for row in table.to_pylist()]
        assert {row["rating"] for row in ratings} == {UNRATED}
        request = Request((str(manifest(folder, paths[0])),), folder.parent / "allowed", allow_outside=True)
        rate_request(request, ONLY_TEXT)
        assert asked


def test_a_path_under_a_stores_address_leads_nowhere_else(folder: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/media/a.txt", b"a text")
    system.pipe("/secret.txt", b"a secret")
    paths = ("a.txt", "../secret.txt", "x/../../secret.txt", "/secret.txt", "memory://secret.txt",
             f"a b::file://{folder}/a.txt", "//secret.txt")  # fmt: skip
    items = list(scan([str(manifest(folder, *paths))], ScanLimits(), folder / "spool", media_root="memory://media"))
    assert [bool(item.files) for item in items] == [True] + [False] * (len(paths) - 1)
