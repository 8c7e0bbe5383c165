"""Promises about manifests: JSON lines, CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capitoline.modalities.decoding.reading import read_file
from capitoline.modalities.schema import Item, Storage
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.rows import LINE_BYTES

Scan = Callable[..., dict[str, Item]]

ROWS = [
    {"id": "one", "text": "a fox", "tags": "fox; snow", "image": "a.jpg", "year": "1999"},
    {"id": "two", "text": "", "tags": "", "image": "deep/b.jpg", "year": "2001"},
]


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def folder(tmp_path: Path, jpeg: bytes) -> Path:
    (tmp_path / "m" / "deep").mkdir(parents=True)
    (tmp_path / "m" / "a.jpg").write_bytes(jpeg)
    (tmp_path / "m" / "deep" / "b.jpg").write_bytes(jpeg)
    (tmp_path / "outside.jpg").write_bytes(jpeg)
    return tmp_path / "m"


def separated(separator: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(ROWS[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(ROWS)

    return write


WRITERS: dict[str, Callable[[Path], object]] = {
    "m.jsonl": lambda path: path.write_bytes(lines(*ROWS)),
    "m.ndjson.gz": lambda path: path.write_bytes(gzip.compress(lines(*ROWS))),
    "m.csv": separated(","),
    "m.tsv": separated("\t"),
    "m.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_items(scanned: Scan, folder: Path, name: str) -> None:
    WRITERS[name](folder / name)
    one, two = scanned(folder / name).values()
    assert (one.id, one.text, one.tags, one.metadata) == ("one", "a fox", ("fox", "snow"), {"year": "1999"})
    assert (two.id, two.text, two.tags, two.metadata) == ("two", None, None, {"year": "2001"})
    assert [file.source for file in (*one.files, *two.files)] == [str(folder / "a.jpg"), str(folder / "deep/b.jpg")]
    assert not one.problem and not two.problem


def test_columns_are_named_by_the_user(scanned: Scan, folder: Path) -> None:
    row = {"key": 7, "plot": "a fox", "genres": ["x", "y"], "front": "a.jpg", "back": "deep/b.jpg", "text": "other"}
    (folder / "m.jsonl").write_bytes(lines(row))
    columns = Columns.parse("id=key, text=plot, tags=genres, image=front, image=back")
    (item,) = scanned(folder / "m.jsonl", columns=columns).values()
    assert (item.id, item.text, item.tags, len(item.files)) == ("7", "a fox", ("x", "y"), 2)
    assert item.metadata == {"text": "other"}
    with pytest.raises(ValueError, match=r"frnt.*has: key, plot"):
        scanned(folder / "m.jsonl", columns=Columns.parse("image=frnt"))
    for wrong in ("picture=x", "image", "=x"):
        with pytest.raises(ValueError, match="columns are given as"):
            Columns.parse(wrong)


def test_broken_lines_are_problems_and_the_others_go_on(scanned: Scan, folder: Path) -> None:
    raw = lines({"text": "1"}) + b'{"text": \n' + b"[1]\n" + b'{"text": "\xff"}\n\n' + b"[" * 100_000 + b"\n"
    raw += lines({"text": "7"}, {"text": {"a": 1}}, {"text": "\ud800"}, {"other": 1}, {"id": 3, "image": 4})
    (folder / "m.jsonl").write_bytes(raw)
    found = scanned(folder / "m.jsonl")
    good = [name for name, item in found.items() if not item.problem]
    assert good == ["m.jsonl:1", "m.jsonl:7", "m.jsonl:9"]
    assert len(found) == 10 and found["m.jsonl:9"].text == "?"


def test_a_line_without_end_is_refused_in_little_memory(scanned: Scan, folder: Path) -> None:
    (folder / "m.jsonl").write_bytes(b"x" * (2 * LINE_BYTES + 5) + b"\n" + lines({"text": "2"}))
    found = scanned(folder / "m.jsonl")
    assert "longer than" in found["m.jsonl:1"].problem and found["m.jsonl:2"].text == "2"


def test_broken_csv_rows_are_problems(scanned: Scan, folder: Path) -> None:
    (folder / "m.csv").write_bytes(b'id,text\n1,one\n2\n3,a,b\n4,\xe9\n5,"two\nlines"\n6,six\n7,"open\n8,eight\n')
    found = scanned(folder / "m.csv")
    assert {name: item.text for name, item in found.items() if not item.problem} == {
        "1": "one",
        "5": "two\nlines",
        "6": "six",
    }
    assert [name for name, item in found.items() if item.problem] == ["m.csv:3", "m.csv:4", "m.csv:5", "m.csv:9"]
    assert "lines 9 to 10" in found["m.csv:9"].problem


def test_a_broken_parquet_file_is_a_problem(scanned: Scan, folder: Path) -> None:
    (folder / "m.parquet").write_bytes(b"PAR1 no more")
    assert "Parquet" in scanned(folder / "m.parquet")["m.parquet:1"].problem


def test_a_cut_gzip_gives_the_rows_before_the_cut(scanned: Scan, folder: Path) -> None:
    packed = gzip.compress(lines(*({"id": n, "text": f"{n * 7919 % 1000003}"} for n in range(20_000))))
    (folder / "m.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    found = list(scanned(folder / "m.jsonl.gz").values())
    assert len(found) > 5_000
    assert "compression is broken" in found[-1].problem and not any(item.problem for item in found[:-1])


def test_a_packed_bomb_is_stopped(scanned: Scan, folder: Path) -> None:
    (folder / "m.jsonl.gz").write_bytes(gzip.compress(lines({"text": "1"}) + b" " * (40 << 20)))
    found = scanned(folder / "m.jsonl.gz")
    assert found["m.jsonl.gz:1"].text == "1" and "archive_ratio" in found["m.jsonl.gz:2"].problem
    limits = ScanLimits(archive_bytes=1 << 20)
    assert "archive_bytes" in scanned(folder / "m.jsonl.gz", limits=limits)["m.jsonl.gz:2"].problem


def test_missing_media_are_named(scanned: Scan, folder: Path) -> None:
    (folder / "m.jsonl").write_bytes(lines({"id": "x", "text": "t", "image": ["a.jpg", "gone.jpg"], "audio": "deep"}))
    (item,) = scanned(folder / "m.jsonl").values()
    assert item.problem == "image gone.jpg: is not there; audio deep: is not an ordinary file"
    assert len(item.files) == 1 and item.text == "t"


@pytest.mark.parametrize(
    "path",
    ["../outside.jpg", "deep/../../outside.jpg", "{}/outside.jpg", "file://{}/outside.jpg", "http://localhost:1/x.jpg",
     "memory://x.jpg", "link.jpg", "a.jpg\0", "simplecache::memory://x.jpg"],
)  # fmt: skip
def test_a_manifest_reaches_nothing_outside(scanned: Scan, folder: Path, path: str) -> None:
    (folder / "link.jpg").symlink_to(folder.parent / "outside.jpg")
    (folder / "m.jsonl").write_bytes(lines({"id": "x", "image": path.format(folder.parent)}))
    (item,) = scanned(folder / "m.jsonl").values()
    assert item.problem and not item.files


def test_a_trusted_manifest_may_reach_outside(scanned: Scan, folder: Path) -> None:
    outside = folder.parent / "outside.jpg"
    (folder / "m.jsonl").write_bytes(lines({"image": ["../outside.jpg", str(outside), f"file://{outside}"]}))
    (item,) = scanned(folder / "m.jsonl", allow_outside=True).values()
    assert not item.problem
    assert len({read_file(file, 1 << 20) for file in item.files}) == 1 and len(item.files) == 3


def test_repeated_ids_are_told_apart(scanned: Scan, folder: Path) -> None:
    (folder / "m.jsonl").write_bytes(
        lines(*[{"id": "x", "text": str(n)} for n in range(3)], {"id": "x#2", "text": "3"})
    )
    found = scanned(folder / "m.jsonl", folder / "m.jsonl")
    assert list(found) == ["x", "x#2", "x#3", "x#2#2", "x#4", "x#5", "x#6", "x#2#3"]


def test_the_posters_come_with_their_manifest(scanned: Scan, data: Path) -> None:
    columns = Columns.parse("image=poster,tags=genres")
    found = scanned(data / "posters_mm.jsonl.gz", columns=columns, media_root=str(data / "posters_mm.zip"))
    assert len(found) == 2121 and not any(item.problem for item in found.values())
    item = found["tt0085334"]
    assert item.tags == ("Comedy", "Family") and item.text is not None and item.text.startswith("In the 1940s")
    assert item.files[0].storage is Storage.ZIP and read_file(item.files[0], 1 << 20).startswith(b"\xff\xd8")
    assert item.metadata["rating5"] == "PG"


def test_members_of_an_archive_are_found_by_exact_name(scanned: Scan, folder: Path, data: Path) -> None:
    names = ["tt0085334.jpg", "./tt0085407.jpg", "../posters_mm.zip", "/etc/passwd"]
    (folder / "m.jsonl").write_bytes(lines(*({"id": name, "poster": name} for name in names)))
    found = scanned(folder / "m.jsonl", media_root=str(data / "posters_mm.zip"))
    assert [bool(item.problem) for item in found.values()] == [False, False, True, True]


def test_media_are_looked_up_in_a_folder_or_an_archive_only(scanned: Scan, folder: Path) -> None:
    (folder / "m.jsonl").write_bytes(lines({"image": "a.jpg"}))
    with pytest.raises(ValueError, match="neither a folder nor an archive"):
        scanned(folder / "m.jsonl", media_root=str(folder / "a.jpg"))
