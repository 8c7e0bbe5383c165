"""The rows of a manifest: JSON lines, CSV, TSV or Parquet, compressed or not, one at a time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, cast

from capitoline.pipelines.sources.limits import BrokenArchiveError, ScanLimits
from capitoline.pipelines.sources.location import open_binary
from capitoline.pipelines.sources.parquet import PROBLEM, ROW, parquet_lines
from capitoline.pipelines.sources.unpacking import Unpacked, is_compressed

LINE_BYTES = 16 << 20
"""Of one line or CSV field; a longer one is a broken row."""
_PACKED = (".gz", ".zst", ".bz2", ".xz")


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or why there is none."""

    number: int
    """Line of a text file, from 1, or row of a Parquet file, from 1."""
    values: dict[str, Any]
    problem: str = ""


class Lines(Protocol):
    """What JSON lines are read from."""

    def readline(self, size: int, /) -> bytes: ...


Reader = Callable[[str, ScanLimits], Iterator[Row]]


def is_manifest(name: str) -> bool:
    """Text has no magic bytes: a manifest is known by its name."""
    return _format(name) is not None


def read_rows(path: str, limits: ScanLimits) -> Iterator[Row]:
    """Rows in order. A broken one is a row with a problem, and so is a rest that cannot be read.

    Raises OSError where the file cannot be opened.
    """
    reader = _format(path)
    assert reader is not None, path
    open_binary(path).close()
    number = 0
    try:
        for row in reader(path, limits):
            number = row.number
            yield row
    except (BrokenArchiveError, OSError) as error:
        yield Row(number + 1, {}, f"the manifest cannot be read from here on: {error}")


def _open(path: str, limits: ScanLimits) -> BinaryIO:
    stream = open_binary(path)
    packed = is_compressed(stream.read(8))
    if not packed:
        stream.seek(0)
        return stream
    stream.close()
    return cast(BinaryIO, io.BufferedReader(Unpacked(path, limits)))


def _format(name: str) -> Reader | None:
    name = name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return next((reader for ending, reader in _READERS.items() if name.endswith(ending)), None)


def json_rows(stream: Lines) -> Iterator[Row]:
    """Rows of JSON lines, numbered by their lines."""
    number = 0
    while line := stream.readline(LINE_BYTES):
        number += 1
        if len(line) == LINE_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield _too_long(number, f"line {number}")
        elif line.strip():
            yield json_row(number, line, f"line {number}")


def json_row(number: int, line: bytes, what: str) -> Row:
    """The row of one line; `what` it is called where it is broken."""
    if len(line) > LINE_BYTES:
        return _too_long(number, what)
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Row(number, {}, f"{what} is not JSON: {error}")
    if not isinstance(values, dict):
        return Row(number, {}, f"{what} is not a JSON object")
    return Row(number, values)


def _too_long(number: int, what: str) -> Row:
    return Row(number, {}, f"{what} is longer than {LINE_BYTES} bytes")


def _json_rows(path: str, limits: ScanLimits) -> Iterator[Row]:
    with closing(_open(path, limits)) as stream:
        yield from json_rows(stream)


def _csv_rows(path: str, limits: ScanLimits) -> Iterator[Row]:
    with closing(_open(path, limits)) as stream:
        yield from _separated_rows(stream, ",")


def _tsv_rows(path: str, limits: ScanLimits) -> Iterator[Row]:
    with closing(_open(path, limits)) as stream:
        yield from _separated_rows(stream, "\t")


def _separated_rows(stream: BinaryIO, separator: str) -> Iterator[Row]:
    """Rows under the header, which the first line is. Strict, or an open quote would swallow the rows after it."""
    csv.field_size_limit(LINE_BYTES)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(iter(lambda: text.readline(LINE_BYTES), ""), delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(start, {}, f"lines {start} to {max(reader.line_num, start)} are no CSV row: {error}")
            continue
        if header is None:
            header = cells
        elif cells:
            yield _separated_row(start, header, cells)


def _separated_row(number: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        return Row(number, {}, f"line {number} has {len(cells)} columns where the header has {len(header)}")
    if any("\udc80" <= character <= "\udcff" for cell in cells if not cell.isascii() for character in cell):
        return Row(number, {}, f"line {number} is not UTF-8")
    return Row(number, dict(zip(header, cells, strict=True)))


def _parquet_rows(path: str, limits: ScanLimits) -> Iterator[Row]:
    with parquet_lines(path, limits) as lines:
        for row in json_rows(lines):
            yield Row(row.number, row.values.get(ROW, {}), row.problem or row.values.get(PROBLEM, ""))


_READERS: dict[str, Reader] = {
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".parquet": _parquet_rows,
}
