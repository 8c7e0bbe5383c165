"""What is kept of an expert and what it says now, in one file of the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from capitoline.pipelines.features.columns import EVIDENCE, table_of
from capitoline.pipelines.features.store import FeatureStore, Row, Weights


def add_rows(store: FeatureStore, expert: str, weights: str, rows: Sequence[dict[str, Any]]) -> None:
    """Appends rows of evidence; of two about the same content the later counts."""
    store.keep(expert, weights, pa.concat_tables([store.evidence(expert, weights), table_of(rows)]))


def settle(store: FeatureStore, rows: Sequence[Row], weights: Mapping[str, Weights]) -> None:
    """Gives each of `rows` its own row of evidence, by content, and says whether the weights had seen it.

    Evidence of content that is no longer among the rows is kept: it may come back.
    """
    for name, one in weights.items():
        spoken: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            spoken[one.of(row.fold)].append(row)
        for digest, mine in spoken.items():
            kept = store.evidence(name, digest)
            settled = _settled(kept, mine, [one.unseen(row) for row in mine])
            if not settled.equals(kept):
                store.keep(name, digest, settled)


def _settled(kept: pa.Table, rows: Sequence[Row], unseen: Sequence[bool]) -> pa.Table:
    place = {digest: number for number, digest in enumerate(kept["digest"].to_pylist())}
    mine = kept.take(pa.array([place[row.digest] for row in rows], pa.int64()))
    named = {"item": [row.item for row in rows], "unseen": unseen}
    for column, values in named.items():
        mine = mine.set_column(mine.schema.get_field_index(column), EVIDENCE.field(column), pa.array(values))
    wanted = {row.digest for row in rows}
    left = [number for digest, number in place.items() if digest not in wanted]
    return pa.concat_tables([mine, kept.take(pa.array(left, pa.int64()))])
