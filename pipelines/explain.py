"""Why one item got its rating: everything that a job kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capitoline.modalities.schema import Evidence, File, Item, Modality, Outcome, Span, Storage, Tag, Verdict

if TYPE_CHECKING:
    from capitoline.pipelines.records import Record
    from capitoline.pipelines.store import Store

LISTED = 8
"""Ids that a message lists."""
SEARCHED = 20
"""Shards in which ids like an unknown one are looked for; comparing is slow, and a typo shows early enough."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One item's record, and the job that it belongs to."""

    record: Record
    """Without the experts' features."""
    labels: tuple[str, ...]
    """The scale, mildest first."""
    version: str
    """Of the capitoline that rated it."""
    weights: Mapping[str, str]
    """Digest of each expert's weights and tables, by expert name."""


def explain(out: Path, wanted: str) -> Explanation:
    """What the job in `out` kept of the item whose id is `wanted`, or the only one whose id contains it.

    Raises:
        ValueError: no job wrote to `out`, or no item or several fit; the message lists the nearest ids.
    """
    from capitoline.pipelines.fingerprint import read_fingerprint
    from capitoline.pipelines.moves import MOVES_FILE
    from capitoline.pipelines.store import Store

    run = read_fingerprint(out)
    if run is None and (out / MOVES_FILE).exists():
        raise ValueError(f"{out} holds what a replay decided, without the evidence; explain the job that was replayed")
    if run is None:
        raise ValueError(f"{out} holds no results; give the folder that `capitoline rate … --out` wrote")
    store = Store(out)
    if not store.committed():
        raise ValueError(f"{out} holds no finished shard yet; run the same `capitoline rate` again to continue")
    record = _record(store, *_find(store, wanted))
    return Explanation(record, tuple(run.settings["scale"]), run.version, run.weights)


def _find(store: Store, wanted: str) -> tuple[int, str]:
    """Shard and id of the item. Raises ValueError unless exactly one fits."""
    found: list[tuple[int, str]] = []
    for shard in sorted(store.committed()):
        ids = _ids(store, shard)
        if wanted in ids:
            return shard, wanted
        found += [(shard, one) for one in ids if wanted in one]
    if len(found) == 1:
        return found[0]
    if found:
        fitting = _listed([one for _, one in found])
        raise ValueError(f"{len(found):,} items have {wanted!r} in their id; give more of one: {fitting}")
    raise ValueError(f"no item has {wanted!r} in its id; the nearest are: {_listed(_nearest(store, wanted))}")


def _nearest(store: Store, wanted: str) -> list[str]:
    """Ids whose ends are most like `wanted`, the most alike first."""
    depth = wanted.count("/") + 1
    ends: dict[str, str] = {}
    cutoff = 0.0
    for shard in sorted(store.committed())[:SEARCHED]:
        ends |= {"/".join(one.split("/")[-depth:]): one for one in _ids(store, shard)}
        best = get_close_matches(wanted, ends, LISTED, cutoff)
        ends = {end: ends[end] for end in best}
        # What does not beat the last of a full list need not be compared letter by letter.
        cutoff = SequenceMatcher(a=best[-1], b=wanted).ratio() if len(best) == LISTED else 0.0
    return list(ends.values())


def _ids(store: Store, shard: int) -> list[str]:
    import pyarrow.parquet as pq

    ids: list[str] = pq.read_table(store.part("ratings", shard), columns=["item_id"])["item_id"].to_pylist()
    return ids


def _listed(ids: list[str]) -> str:
    return ", ".join(map(repr, ids[:LISTED])) + (", …" if len(ids) > LISTED else "")


def _record(store: Store, shard: int, item_id: str) -> Record:
    from capitoline.pipelines.records import Record

    (row,) = _rows(store, "ratings", shard, item_id)
    evidence = tuple(_evidence(one) for one in _rows(store, "evidence", shard, item_id))
    return Record(
        item=Item(item_id, row["text"], tuple(row["tags"]), tuple(map(_file, row["files"])), dict(row["metadata"])),
        verdict=Verdict(
            item_id=item_id,
            digest=row["digest"],
            rating=row["rating"],
            severity=row["severity"],
            rule=row["rule"],
            evidence=evidence,
            probabilities=tuple(row["probabilities"]),
            tied=tuple(row["tied"]),
            review=tuple(row["review"]),
        ),
        modalities=tuple(map(Modality, row["modalities"])),
        text=row["text"],
        tags=tuple(row["tags"]),
        notes=tuple(row["notes"]),
        seconds=dict(row["seconds"]),
    )


def _rows(store: Store, table: str, shard: int, item_id: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    path = store.part(table, shard)
    columns = [name for name in pq.read_schema(path).names if name != "features"]
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns, filters=[("item_id", "=", item_id)]).to_pylist()
    return rows


def _evidence(row: dict[str, Any]) -> Evidence:
    return Evidence(
        expert=row["expert"],
        modality=None if row["modality"] is None else Modality(row["modality"]),
        outcome=Outcome(row["outcome"]),
        reason=row["reason"],
        probabilities=tuple(row["probabilities"]),
        severity=row["severity"],
        spans=tuple(_span(span) for span in row["spans"]),
        tags=tuple(Tag(tag["name"], tag["score"]) for tag in row["tags"]),
        seconds=row["seconds"],
    )


def _span(row: dict[str, Any]) -> Span:
    return Span(row["start"], row["end"], row["text"], tuple(row["probabilities"]))


def _file(row: dict[str, Any]) -> File:
    return File(row["source"], row["name"], row["size"], Storage(row["storage"]), row["offset"])
