"""The output folder: two Parquet tables in parts, one part a shard; the parts are the checkpoint.

`evidence/` is expensive and resumable; `ratings/` is decided from it. A shard is committed by
its ratings part, which is written last, and every file is written under a temporary name,
synced and renamed, so a killed process leaves a shard either whole or not there.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.modalities.schema import Evidence, Item, Modality, Verdict

EXCERPT = 500
"""Characters of an item's text that its rating row repeats, for reports."""

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
        ("modalities", pa.list_(pa.string())),
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


class Store:
    """The tables of one output folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._tables = {"ratings": RATINGS, "evidence": EVIDENCE}

    def prepare(self) -> None:
        """Makes the folders and removes what a killed process left half-written."""
        for name in self._tables:
            (self.out / name).mkdir(parents=True, exist_ok=True)
            for leftover in (self.out / name).glob("*.tmp"):
                leftover.unlink()

    def part(self, table: str, shard: int) -> Path:
        return self.out / table / f"part-{shard:06d}.parquet"

    def committed(self) -> set[int]:
        """The shards that are done."""
        return {int(path.stem.removeprefix("part-")) for path in (self.out / "ratings").glob("part-*.parquet")}

    def commit(self, shard: int, records: Sequence[Record]) -> None:
        """Writes a shard, its ratings last. Raises OSError (a full disk) with nothing half-committed."""
        evidence = [_evidence_row(record.verdict.item_id, one) for record in records for one in record.verdict.evidence]
        self._write("evidence", shard, evidence)
        self._write("ratings", shard, [_rating_row(record) for record in records])

    def ratings(self, shard: int) -> pa.Table:
        return pq.read_table(self.part("ratings", shard), schema=RATINGS)

    def evidence(self, shard: int) -> pa.Table:
        return pq.read_table(self.part("evidence", shard), schema=EVIDENCE)

    def replace(self, shard: int, records: Sequence[Record]) -> None:
        """Puts new records in the place of the same items' old ones in a committed shard."""
        again = {record.item.id for record in records}
        for table, rows in (
            ("evidence", [_evidence_row(r.verdict.item_id, one) for r in records for one in r.verdict.evidence]),
            ("ratings", [_rating_row(record) for record in records]),
        ):
            kept = [row for row in pq.read_table(self.part(table, shard)).to_pylist() if row["item_id"] not in again]
            self._write(table, shard, kept + rows)

    def _write(self, table: str, shard: int, rows: list[dict[str, Any]]) -> None:
        data = pa.Table.from_pylist(rows, schema=self._tables[table])
        write_atomically(self.part(table, shard), lambda path: pq.write_table(data, path, compression="zstd"))


def read_ratings(out: Path) -> Iterator[pa.Table]:
    """The ratings, a table a shard, in the order of the manifest."""
    store = Store(out)
    return (store.ratings(shard) for shard in sorted(store.committed()))


def read_evidence(out: Path) -> Iterator[pa.Table]:
    """The evidence of the committed shards, a table a shard."""
    store = Store(out)
    return (store.evidence(shard) for shard in sorted(store.committed()))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a temporary path, syncs it and renames it onto `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Holds the output folder for one driver. Raises ValueError if another one has it."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise ValueError(f"another job is writing to {out}; wait for it or choose another --out") from error
        yield


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rating_row(record: Record) -> dict[str, Any]:
    verdict = record.verdict
    return {
        "item_id": verdict.item_id,
        "digest": verdict.digest,
        "rating": verdict.rating,
        "severity": verdict.severity,
        "rule": verdict.rule,
        "probabilities": verdict.probabilities,
        "tied": verdict.tied,
        "review": verdict.review,
        "failed": verdict.failed,
        "modalities": [str(one) for one in record.modalities],
        "files": [asdict(file) for file in record.item.files],
        "metadata": list(record.item.metadata.items()),
        "text": (record.text or "")[:EXCERPT],
        "tags": record.tags or (),
        "notes": record.notes,
        "seconds": list(record.seconds.items()),
    }


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
