"""The output folder: two Parquet tables in parts, one part a shard; the parts are the checkpoint.

`evidence/` is expensive and resumable; `ratings/` is decided from it. A shard is committed by
its ratings part, which is written last, and every file is written under a temporary name,
synced and renamed, so a killed process leaves a shard either whole or not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.modalities.atomic import write_atomically
from capitoline.pipelines.columns import EVIDENCE, RATINGS, TABLES, Rows
from capitoline.pipelines.records import Record

ITEMS_AT_ONCE = 64
"""Items whose rows are in memory together while a part is written."""


def unchecked() -> None:
    """For a folder that nobody else writes to."""


class Store:
    """The tables of one output folder."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def prepare(self) -> None:
        """Makes the folders and removes what a killed process left half-written."""
        for folder in (self.out, *(self.out / name for name in TABLES)):
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)

    def part(self, table: str, shard: int) -> Path:
        return self.out / table / f"part-{shard:06d}.parquet"

    def committed(self) -> set[int]:
        """The shards that are done."""
        return {int(path.stem.removeprefix("part-")) for path in (self.out / "ratings").glob("part-*.parquet")}

    def commit(self, shard: int, records: Sequence[Record], check: Callable[[], None] = unchecked) -> None:
        """Writes a shard, its ratings last. In a shard that is there already, the rows of these items
        are replaced where they stand and the others kept. `check` is called first, and before a file gets its name.

        Raises:
            OSError: it cannot be written (a full disk), or `check` raised it; the shard stays as it was.
        """
        check()
        for table in TABLES:
            self._write(table, shard, records, check)

    def ratings(self, shard: int) -> pa.Table:
        return pq.read_table(self.part("ratings", shard), schema=RATINGS)

    def evidence(self, shard: int) -> pa.Table:
        return pq.read_table(self.part("evidence", shard), schema=EVIDENCE)

    def count(self) -> int:
        """Items in all committed shards, from the parts' own metadata."""
        return sum(int(pq.read_metadata(self.part("ratings", shard)).num_rows) for shard in self.committed())

    def failed(self, shard: int) -> set[str]:
        """Ids of the items of a committed shard of which some part could not be read or rated."""
        rows = pq.read_table(self.part("ratings", shard), columns=["item_id", "failed"]).to_pylist()
        return {row["item_id"] for row in rows if row["failed"]}

    def _write(self, table: str, shard: int, records: Sequence[Record], check: Callable[[], None]) -> None:
        path, (schema, rows_of) = self.part(table, shard), TABLES[table]
        rows: Iterable[Rows] = map(rows_of, records)
        if path.exists():
            rows = (_by_item(path) | {record.item.id: rows_of(record) for record in records}).values()
        data = _columns(rows, schema)

        def write(temporary: Path) -> None:
            pq.write_table(data, temporary, compression="zstd")
            check()

        write_atomically(path, write)


def read_ratings(out: Path) -> Iterator[pa.Table]:
    """The ratings, a table a shard, in the order of the manifest."""
    store = Store(out)
    return (store.ratings(shard) for shard in sorted(store.committed()))


def read_evidence(out: Path) -> Iterator[pa.Table]:
    """The evidence of the committed shards, a table a shard."""
    store = Store(out)
    return (store.evidence(shard) for shard in sorted(store.committed()))


def _columns(rows: Iterable[Rows], schema: pa.Schema) -> pa.Table:
    """The rows of all items as columns, a few items at a time: as dictionaries they take ten times the memory."""
    items = iter(rows)
    some = iter(lambda: list(islice(items, ITEMS_AT_ONCE)), [])
    return pa.concat_tables(
        [schema.empty_table(), *(pa.Table.from_pylist(list(chain.from_iterable(each)), schema) for each in some)]
    )


def _by_item(path: Path) -> dict[str, Rows]:
    """The rows of a part, by item, in their order."""
    groups: dict[str, Rows] = {}
    for row in pq.read_table(path).to_pylist():
        groups.setdefault(row["item_id"], []).append(row)
    return groups
