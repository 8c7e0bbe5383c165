"""The output folder: two Parquet tables in parts, one part a shard; the parts are the checkpoint.

`evidence/` is expensive and resumable; `ratings/` is decided from it. A shard is committed by
its ratings part, which is written last, and every file is written under a temporary name,
synced and renamed, so a killed process leaves a shard either whole or not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.schema import Evidence, Item, Modality, Verdict

EXCERPT = 500
"""Characters of an item's text that its rating row repeats, for reports."""

ITEMS_AT_ONCE = 64
"""Items whose rows are in memory together while a part is written."""

Rows = list[dict[str, Any]]

_FILE = pa.struct([("source", pa.string()), ("name", pa.string()), ("size", pa.int64()),
                   ("storage", pa.string()), ("offset", pa.int64())])  # fmt: skip
_SPAN = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("text", pa.string()),
                   ("probabilities", pa.list_(pa.float32()))])  # fmt: skip
_TAG = pa.struct([("name", pa.string()), ("score", pa.float32())])

RATINGS = pa.schema(
    [
        ("item_id", pa.string()),
        ("digest", pa.string()),  # BLAKE2b-128 of text, tags and file bytes
        ("rating", pa.string()),  # a label of the scale, or UNRATED
        ("severity", pa.int8()),  # its position; null if unrated
        ("rule", pa.string()),
        ("probabilities", pa.list_(pa.float32())),  # of the decider, where it has them
        ("tied", pa.list_(pa.string())),
        ("review", pa.list_(pa.string())),  # why a person should look; empty if nobody need
        ("failed", pa.bool_()),  # some part could not be read or rated
        ("shadow_rating", pa.string()),  # of a second decider that changes nothing; null without one
        ("shadow_severity", pa.int8()),
        ("modalities", pa.list_(pa.string())),
        ("undecoded", pa.list_(pa.string())),  # those of them that could not be decoded
        ("files", pa.list_(_FILE)),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("text", pa.string()),  # the first 500 characters
        ("tags", pa.list_(pa.string())),
        ("notes", pa.list_(pa.string())),  # what was cut, salvaged or guessed
        ("seconds", pa.map_(pa.string(), pa.float64())),  # CPU seconds by node of the graph
    ]
)

EVIDENCE = pa.schema(
    [
        ("item_id", pa.string()),
        ("expert", pa.string()),
        ("modality", pa.string()),
        ("outcome", pa.string()),  # rated, abstained, absent, unsupported, error
        ("reason", pa.string()),
        ("probabilities", pa.list_(pa.float32())),
        ("severity", pa.int8()),
        ("features", pa.list_(pa.float32())),  # pre-logits, for fusion
        ("spans", pa.list_(_SPAN)),  # seconds into the film or sound, and what was heard or read there
        ("tags", pa.list_(_TAG)),
        ("seconds", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Record:
    """All that is kept of one item: what a lane or the driver hands to the store."""

    item: Item
    verdict: Verdict
    modalities: tuple[Modality, ...]
    text: str | None
    tags: tuple[str, ...] | None
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    """CPU seconds by node of the graph."""
    undecoded: tuple[Modality, ...] = ()
    """Those of the modalities that could not be decoded."""
    shadow: Verdict | None = None
    """Of a second decider, which changes nothing."""


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


def verdict_columns(record: Record) -> dict[str, Any]:
    """The columns of `RATINGS` that deciding fills; the others are of the item."""
    verdict, shadow = record.verdict, record.shadow
    return {
        "rating": verdict.rating,
        "severity": verdict.severity,
        "rule": verdict.rule,
        "probabilities": verdict.probabilities,
        "tied": verdict.tied,
        "review": verdict.review,
        "failed": verdict.failed or bool(record.undecoded),  # an expert may have rated by another part
        "shadow_rating": shadow.rating if shadow else None,
        "shadow_severity": shadow.severity if shadow else None,
    }


def _rating_rows(record: Record) -> Rows:
    row = {
        "item_id": record.verdict.item_id,
        "digest": record.verdict.digest,
        **verdict_columns(record),
        "modalities": [str(one) for one in record.modalities],
        "undecoded": [str(one) for one in record.undecoded],
        "files": [asdict(file) for file in record.item.files],
        "metadata": list(record.item.metadata.items()),
        "text": (record.text or "")[:EXCERPT],
        "tags": record.tags or (),
        "notes": record.notes,
        "seconds": list(record.seconds.items()),
    }
    return [row]


def _evidence_rows(record: Record) -> Rows:
    return [_evidence_row(record.item.id, one) for one in record.verdict.evidence]


def _evidence_row(item_id: str, evidence: Evidence) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "expert": evidence.expert,
        "modality": evidence.modality,
        "outcome": str(evidence.outcome),
        "reason": evidence.reason,
        "probabilities": evidence.probabilities,
        "severity": evidence.severity,
        "features": evidence.features,
        "spans": [asdict(span) for span in evidence.spans],
        "tags": [asdict(tag) for tag in evidence.tags],
        "seconds": evidence.seconds,
    }


TABLES: dict[str, tuple[pa.Schema, Callable[[Record], Rows]]] = {
    "evidence": (EVIDENCE, _evidence_rows),
    "ratings": (RATINGS, _rating_rows),
}
"""The tables in the order in which they are written: the ratings commit a shard."""
