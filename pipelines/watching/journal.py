"""The output of a watch: the tables that `rate` writes, growing at their end.

A commit adds a batch to the last part until that is large enough, and then begins the next, so
that months of small batches do not end in millions of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.modalities.atomic import write_atomically
from capitoline.pipelines.columns import EVIDENCE
from capitoline.pipelines.records import Record
from capitoline.pipelines.store import Store, unchecked
from capitoline.pipelines.watching.arrivals import ARRIVAL

PART_ITEMS = 256
"""A part with so many items is finished; each commit rewrites the last one, 0.06 s at this size."""


class Journal:
    """The parts of one output folder, which is locked by now."""

    def __init__(self, out: Path, check: Callable[[], None] = unchecked) -> None:
        """`check` raises OSError once the folder is not ours any more."""
        self._store, self._check = Store(out), check
        self._store.prepare()
        self._shard = max(self._store.committed(), default=0)
        self._discard_uncommitted()
        last = self._ratings(self._shard)
        self._items = int(pq.read_metadata(last).num_rows) if last.exists() else 0

    def commit(self, records: Sequence[Record]) -> None:
        """Adds the records of new items.

        Raises:
            OSError: they cannot be written (a full disk, a folder that is not ours); the parts stay as they were.
        """
        if self._items >= PART_ITEMS:
            self._shard, self._items = self._shard + 1, 0
        self._store.commit(self._shard, records, self._check)
        self._items += len(records)

    def rated(self) -> Iterator[tuple[str, str]]:
        """Id and arrival token of every committed item."""
        for shard in sorted(self._store.committed()):
            names = pq.read_table(self._ratings(shard), columns=["item_id"])["item_id"].to_pylist()
            yield from zip(names, (one[ARRIVAL] for one in self._metadata(shard)), strict=True)

    def metadata(self) -> Iterator[Mapping[str, str]]:
        """Of every committed item."""
        for shard in sorted(self._store.committed()):
            yield from self._metadata(shard)

    def _metadata(self, shard: int) -> list[dict[str, str]]:
        column = pq.read_table(self._ratings(shard), columns=["metadata"])["metadata"]
        return [dict(one) for one in column.to_pylist()]

    def _ratings(self, shard: int) -> Path:
        return self._store.part("ratings", shard)

    def _discard_uncommitted(self) -> None:
        """Removes evidence whose ratings a killed process did not come to write: other items may come next."""
        for path in self._store.part("evidence", 0).parent.glob("part-*.parquet"):
            shard = int(path.stem.removeprefix("part-"))
            if not self._ratings(shard).exists():
                path.unlink()
            elif shard == self._shard:
                self._keep_only_committed(path)

    def _keep_only_committed(self, path: Path) -> None:
        committed = set(self._store.ratings(self._shard)["item_id"].to_pylist())
        evidence = pq.read_table(path, schema=EVIDENCE)
        known = [item_id in committed for item_id in evidence["item_id"].to_pylist()]
        if not all(known):
            kept = evidence.filter(pa.array(known))
            write_atomically(path, lambda temporary: pq.write_table(kept, temporary, compression="zstd"))
