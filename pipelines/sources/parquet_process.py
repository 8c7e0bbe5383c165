"""The process in which a Parquet manifest is read: `python -m capitoline.pipelines.sources.parquet_process`.

Reads the file's path and limits from its standard input, writes JSON lines to its standard
output. Parquet's reader is C++ and ends the whole process on some broken files.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from capitoline.modalities.decoding.confined import confine, limited
from capitoline.pipelines.sources.limits import ScanLimits, check_unpacked
from capitoline.pipelines.sources.location import open_binary
from capitoline.pipelines.sources.parquet import PROBLEM, ROW

MEMORY_BYTES = 4 << 30
ROW_SECONDS = 60.0
"""For one row, or the batch of rows that it begins."""
DICTIONARY_BYTES = 1 << 20
"""Of a column's strings, from which on they stay in their dictionary, which takes three times as long."""


def main() -> None:
    """Writes a line for each row, and one with a problem where it cannot go on."""
    path, limits = json.load(sys.stdin.buffer)
    confine(MEMORY_BYTES)
    lines = _lines(open_binary(path), ScanLimits(**limits))
    while True:
        with limited(ROW_SECONDS):
            line = next(lines, None)
        if line is None:
            return
        sys.stdout.buffer.write(line + b"\n")


def _lines(stream: BinaryIO, limits: ScanLimits) -> Iterator[bytes]:
    number = unpacked = 0
    size = stream.seek(0, os.SEEK_END)
    try:
        for batch in _file(stream, size, limits).iter_batches(batch_size=256, use_threads=False):
            for index in range(batch.num_rows):
                number += 1
                line = _encoded(_row(number, batch, index))
                unpacked += len(line)
                check_unpacked(unpacked, size, limits)
                yield line
    except Exception as error:  # Arrow raises anything on broken bytes
        yield _encoded({PROBLEM: f"the Parquet file cannot be read from row {number or 1} on: {error}"})


def _file(stream: BinaryIO, size: int, limits: ScanLimits) -> Any:
    """Its long strings stay in their dictionaries: a few bytes of file may stand for gigabytes of rows."""
    import pyarrow.parquet as pq

    declared = pq.read_metadata(stream)
    groups = [declared.row_group(number) for number in range(declared.num_row_groups)]
    check_unpacked(sum(group.total_byte_size for group in groups), size, limits)
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    large = {
        chunk.path_in_schema
        for chunk in chunks
        if chunk.physical_type == "BYTE_ARRAY" and chunk.total_uncompressed_size > DICTIONARY_BYTES
    }
    return pq.ParquetFile(stream, read_dictionary=sorted(large))


def _row(number: int, batch: Any, index: int) -> dict[str, Any]:
    columns = zip(batch.schema.names, batch.columns, strict=True)
    try:
        return {ROW: {name: column[index].as_py() for name, column in columns}}
    except (ValueError, OverflowError) as error:  # text that is not UTF-8, a date beyond Python's years
        return {PROBLEM: f"row {number} cannot be read: {error}"}


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, default=_plain).encode()


def _plain(value: object) -> object:
    """What JSON has no form for: dates and decimals as they are written; bytes as no string, for they are no text."""
    return {"bytes": len(value)} if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
