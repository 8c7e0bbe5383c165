"""Promises about what stands beside a medium, in folders and zips."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.sidecars import SIDECAR_BYTES, split_tags

Scan = Callable[..., dict[str, Item]]


@pytest.fixture(params=["folder", "zip"])
def holding(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Puts files into a folder or a zip called `c`."""

    def make(files: dict[str, bytes]) -> Path:
        if request.param == "zip":
            with ZipFile(tmp_path / "c", "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
            return tmp_path / "c"
        for name, content in files.items():
            (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "c" / name).write_bytes(content)
        return tmp_path / "c"

    return make


Holding = Callable[[dict[str, bytes]], Path]


def test_sidecars_of_its_stem_join_a_medium(scanned: Scan, holding: Holding, jpeg: bytes) -> None:
    said = {"Prompt": "a fox", "tags": ["fox", " Snow ", "fox"], "seed": 7, "meta": {"sampler": "euler", "cfg": [1]}}
    found = scanned(
        holding(
            {
                "a.jpg": jpeg,
                "a.txt": b"a red fox",
                "a.caption": "ein Fuchs é".encode("utf-16"),
                "a.tags": b"animal; snow",
                "a.json": json.dumps(said).encode(),
                "a.b.jpg": jpeg,
                "a.b.txt": b"another",
            }
        )
    )
    assert list(found) == ["c/a.jpg", "c/a.b.jpg"]
    fox = found["c/a.jpg"]
    assert fox.text == "ein Fuchs é\na fox\na red fox"
    assert fox.tags == ("fox", "Snow", "animal", "snow")
    assert fox.metadata == {"seed": "7", "sampler": "euler", "cfg": "[1]"}
    assert len(fox.files) == 1 and not fox.problem
    assert found["c/a.b.jpg"].text == "another"


def test_a_medium_named_by_itself_keeps_what_stands_beside_it(scanned: Scan, tmp_path: Path, jpeg: bytes) -> None:
    """Else the same picture could come out milder than in its folder."""
    for name, content in {"a.jpg": jpeg, "a.txt": b"a red fox", "a.jpg.tags": b"fox", "b.txt": b"no"}.items():
        (tmp_path / name).write_bytes(content)
    found = scanned(tmp_path / "a.jpg")
    assert {name: (item.text, item.tags) for name, item in found.items()} == {"a.jpg": ("a red fox", ("fox",))}
    assert list(scanned(tmp_path / "a.txt")) == ["a.txt"]


def test_a_sidecar_by_full_name_joins_only_that_file(scanned: Scan, holding: Holding, jpeg: bytes) -> None:
    found = scanned(holding({"a.jpg": jpeg, "a.png": jpeg, "a.jpg.json": b'{"text": "one"}', "a.txt": b"both"}))
    assert {name: item.text for name, item in found.items()} == {"c/a.jpg": "one\nboth", "c/a.png": "both"}


def test_a_lone_sidecar_is_an_ordinary_file(scanned: Scan, holding: Holding, jpeg: bytes) -> None:
    found = scanned(holding({"a.jpg": jpeg, "b.txt": b"x", "c.json": b"{}", "d/a.txt": b"x", "e.c": b"", "e.txt": b""}))
    assert list(found) == ["c/a.jpg", "c/b.txt", "c/c.json", "c/e.c", "c/e.txt", "c/d/a.txt"]
    assert all(len(item.files) == 1 and item.text is None for item in found.values())


@pytest.mark.parametrize("extension", ["txt", "json", "tags"])
def test_a_medium_under_a_sidecars_name_does_not_vanish(
    scanned: Scan, holding: Holding, jpeg: bytes, extension: str
) -> None:
    found = scanned(holding({"a.jpg": jpeg, f"a.{extension}": jpeg}))
    assert [len(item.files) for item in found.values()] == [1, 1]
    assert not any(item.problem for item in found.values())


@pytest.mark.parametrize("broken", [b'{"prompt": "a fox"', b"[" * 100_000, b'{"a": 1' + b"0" * 5_000 + b"}"])
def test_a_broken_sidecar_is_the_mediums_problem(scanned: Scan, holding: Holding, jpeg: bytes, broken: bytes) -> None:
    found = scanned(holding({"a.jpg": jpeg, "a.json": broken}))
    assert "a.json" in found["c/a.jpg"].problem
    assert len(found["c/a.jpg"].files) == 1


def test_json_that_describes_nothing_is_an_item_of_its_own(scanned: Scan, holding: Holding, jpeg: bytes) -> None:
    assert list(scanned(holding({"a.jpg": jpeg, "a.json": b"[1, 2]"}))) == ["c/a.json", "c/a.jpg"]


def test_an_enormous_sidecar_is_refused_and_still_offered(scanned: Scan, tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/a.jpg").write_bytes(jpeg)
    with (tmp_path / "c/a.txt").open("wb") as file:
        file.truncate(SIDECAR_BYTES + 1)
    found = scanned(tmp_path / "c")
    assert "more than" in found["c/a.jpg"].problem
    assert found["c/a.txt"].files[0].size == SIDECAR_BYTES + 1


def test_tags_split_as_people_write_them() -> None:
    assert split_tags("a, b ;c\n a,") == ("a", "b", "c")
    assert split_tags([{"name": "x"}, "y, z", 3]) == ("x", "y, z", "3")
    assert split_tags(None) == ()
