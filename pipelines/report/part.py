"""One committed part of the two tables, as the tallies see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.pipelines.store import Store

NO_BALLOT = -1
RATING_COLUMNS = [
    "item_id", "rating", "rule", "tied", "review", "failed", "shadow_rating", "modalities", "files", "text", "seconds",
]  # fmt: skip
EVIDENCE_COLUMNS = ["item_id", "expert", "outcome", "reason", "probabilities", "severity"]
"""Without the features, which are most of the table's bytes."""


@dataclass(frozen=True)
class Part:
    """The ratings of one shard and the evidence for them."""

    ratings: pa.Table
    evidence: pa.Table

    @cached_property
    def experts(self) -> list[str]:
        """In the order in which the part names them."""
        return list(dict.fromkeys(self.evidence["expert"].to_pylist()))

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """(evidence,) the row of the ratings that each piece of evidence is about."""
        places = {item_id: row for row, item_id in enumerate(self.ratings["item_id"].to_pylist())}
        try:
            return np.array([places[item_id] for item_id in self.evidence["item_id"].to_pylist()], dtype=np.int64)
        except KeyError as error:
            raise ValueError(
                f"evidence but no rating for {error}: the folder mixes jobs; rate into a new one"
            ) from None

    @cached_property
    def severities(self) -> npt.NDArray[np.int8]:
        """(items, experts) each ballot, `NO_BALLOT` where an expert cast none."""
        matrix = np.full((len(self.ratings), len(self.experts)), NO_BALLOT, np.int8)
        columns = {name: index for index, name in enumerate(self.experts)}
        experts = [columns[name] for name in self.evidence["expert"].to_pylist()]
        severities = self.evidence["severity"].to_pylist()
        matrix[self.rows, experts] = [NO_BALLOT if severity is None else severity for severity in severities]
        return matrix


def read_parts(out: Path) -> Iterator[Part]:
    """The committed parts of `out`, in the order of the manifest."""
    store = Store(out)
    for shard in sorted(store.committed()):
        ratings = _read(store.part("ratings", shard), RATING_COLUMNS)
        yield Part(ratings, _read(store.part("evidence", shard), EVIDENCE_COLUMNS))


def _read(path: Path, columns: list[str]) -> pa.Table:
    # Not `read_table`, nor any of pyarrow.compute: importing that costs a short job 0.2 s.
    with pq.ParquetFile(path) as file:
        return file.read(columns)
