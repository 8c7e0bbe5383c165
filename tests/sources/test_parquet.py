"""A Parquet manifest is read in a process of its own, and nothing in one is more than that manifest's trouble."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources import parquet
from capitoline.pipelines.sources.limits import ScanLimits

Scan = Callable[..., dict[str, Item]]


def manifest(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, compression="zstd")
    return path


def test_columns_of_every_type_come_as_they_would_in_json(scanned: Scan, tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.parquet", text=["a fox"], tags=[["x", "y"]], shown=[date(1999, 1, 2)], n=[7])
    (item,) = scanned(path).values()
    assert (item.text, item.tags, item.metadata) == ("a fox", ("x", "y"), {"shown": "1999-01-02", "n": "7"})


def test_bytes_are_neither_text_nor_a_path(scanned: Scan, tmp_path: Path) -> None:
    (item,) = scanned(manifest(tmp_path / "m.parquet", text=[b"a fox"], image=[b"a.jpg"])).values()
    assert item.text is None
    assert not item.files
    assert "its text is a dict" in item.problem


def test_a_row_that_cannot_be_read_is_lost_alone(scanned: Scan, tmp_path: Path) -> None:
    ends = pa.py_buffer(struct.pack("<4i", 0, 3, 6, 9))
    text = pa.Array.from_buffers(pa.string(), 3, [None, ends, pa.py_buffer(b"one\xff\xfe.two")])
    when = pa.array([0, 0, 2**62], pa.timestamp("us"))
    found = list(scanned(manifest(tmp_path / "m.parquet", text=text, when=when)).values())
    assert [item.text for item in found] == ["one", None, None]
    assert "utf-8" in found[1].problem
    assert "out of range" in found[2].problem


def test_a_few_bytes_do_not_become_gigabytes_of_rows(scanned: Scan, tmp_path: Path) -> None:
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array(["x" * (4 << 20)]))
    path = manifest(tmp_path / "m.parquet", text=long)
    assert path.stat().st_size < 1_000
    *rows, last = scanned(path).values()
    assert len(rows) < 10
    assert "archive_ratio" in last.problem


def test_one_enormous_cell_is_refused_unread(scanned: Scan, tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.parquet", text=["x" * (64 << 20)])
    (item,) = scanned(path).values()
    assert "archive_ratio" in item.problem


def test_a_reader_that_dies_says_so_where_the_rows_end(
    scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        parquet, "COMMAND", ("-c", 'import os; print(\'{"row": {"text": "a"}}\', flush=True); os.abort()')
    )
    first, second = scanned(manifest(tmp_path / "m.parquet", text=["a", "b"])).values()
    assert first.text == "a"
    assert "SIGABRT" in second.problem


def test_rows_that_nobody_wants_end_the_process(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.parquet", text=["a" * 1_000] * 10_000)
    with pytest.raises(KeyError), parquet.parquet_lines(str(path), ScanLimits()) as lines:
        lines.readline()
        raise KeyError
