"""Items and evidence as a finished job kept them, for deciders: what an item was made of, and none of its media."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.modalities.schema import FAILURES, Decoded, Evidence, Failure, Frame, Item, Modality, Outcome
from capitoline.pipelines.fingerprint import Fingerprint, read_fingerprint
from capitoline.pipelines.records import DECODE, GRAPH
from capitoline.pipelines.store import Store

BLANK = Frame(np.zeros((1, 1, 3), np.uint8))
"""Stands for pictures and films, so that an item has the parts that it had."""
SILENCE = np.zeros(0, np.int16)

EVIDENCE_COLUMNS = [
    "item_id", "expert", "modality", "outcome", "reason", "probabilities", "severity", "features", "seconds",
]  # fmt: skip
"""Without where it was seen, which decides nothing."""


Recorded = tuple[Decoded, list[Evidence]]
"""An item and what was said about it, as deciders are called."""


def finished_job(results: Path) -> Fingerprint:
    """What the job in a folder depended on.

    Raises:
        ValueError: there is none, it is not done, or an earlier version wrote it.
    """
    job = read_fingerprint(results)
    if job is None:
        raise ValueError(f"{results} holds no results of `capitoline rate`")
    if (done := Store(results).count()) < job.items:
        raise ValueError(f"{results} holds {done:,} of {job.items:,} items; let `capitoline rate` finish first")
    return job


def read_part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    # Not `read_table`, nor any of pyarrow.compute: importing that costs 0.2 s.
    with pq.ParquetFile(path) as file:
        return file.read(columns)


def recorded_items(ratings: pa.Table, evidence: pa.Table, experts: Sequence[str]) -> Iterator[Recorded]:
    """The items of one part, each with the evidence of `experts`, in the order of these names.

    Raises:
        ValueError: the part was written by a version that kept less.
    """
    if "undecoded" not in ratings.column_names:
        raise ValueError("the job was rated by an earlier version, which did not keep what could not be decoded")
    told: dict[str, list[Evidence]] = defaultdict(list)
    for item_id, one in _evidence(evidence):
        told[item_id].append(one)
    order = {name: place for place, name in enumerate([GRAPH, *experts])}
    columns = ["item_id", "digest", "modalities", "undecoded", "text", "tags", "notes"]
    for row in ratings.select(columns).to_pylist():
        known = told[row["item_id"]]
        heard = sorted((one for one in known if one.expert in order), key=lambda one: order[one.expert])
        yield _decoded(row, known), heard


def _evidence(table: pa.Table) -> Iterator[tuple[str, Evidence]]:
    """(item id, evidence) of each row; the features are slices of one array."""
    lists = table["features"].combine_chunks()
    values, lengths = lists.flatten().to_numpy(), lists.value_lengths().fill_null(0).to_numpy()
    ends = np.cumsum(lengths)
    starts = ends - lengths
    rows = table.drop_columns("features").to_pylist()
    for row, start, end in zip(rows, starts.tolist(), ends.tolist(), strict=True):
        yield (
            row["item_id"],
            Evidence(
                row["expert"],
                None if row["modality"] is None else Modality(row["modality"]),
                Outcome(row["outcome"]),
                row["reason"],
                tuple(row["probabilities"]),
                row["severity"],
                values[start:end] if end > start else None,
                seconds=row["seconds"],
            ),
        )


def _decoded(row: dict[str, Any], known: Sequence[Evidence]) -> Decoded:
    of_files = [one for one in known if one.expert == DECODE and one.modality is None]
    parts = {Modality(one) for one in row["modalities"]}
    return Decoded(
        item=Item(row["item_id"]),
        digest=row["digest"],
        text=row["text"] if Modality.TEXT in parts else None,
        tags=tuple(row["tags"]) if Modality.TAGS in parts else None,
        pictures=(BLANK,) if Modality.IMAGE in parts else (),
        film=(BLANK,) if Modality.VIDEO in parts else (),
        sound=SILENCE if Modality.AUDIO in parts else None,
        failures={Modality(one): _failure(Modality(one), known) for one in row["undecoded"]},
        unreadable=tuple(Failure(one.outcome, one.reason) for one in of_files),
        notes=tuple(row["notes"]),
    )


def _failure(part: Modality, known: Sequence[Evidence]) -> Failure:
    """Why a part could not be decoded, as the decoder told it or an expert that was to look there."""
    failed = [one for one in known if one.outcome in FAILURES]
    told = [one for one in failed if one.modality is part] or [one for one in failed if one.expert != DECODE]
    return Failure(told[0].outcome, told[0].reason) if told else Failure(Outcome.ERROR, "could not be decoded")
