"""Cuts a manifest's shards into micro-batches, and puts their results together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from capitoline.modalities.schema import Item
from capitoline.pipelines.graph import Batch
from capitoline.pipelines.manifest import item_bytes
from capitoline.pipelines.records import Record


def micro_batches(shard: int, items: Iterable[Item], most_items: int, most_bytes: int) -> Iterator[Batch]:
    """Batches of at most `most_items` items and `most_bytes` bytes of media; a larger item travels alone."""
    batch: list[Item] = []
    size = 0
    for item in items:
        weight = item_bytes(item)
        if batch and (len(batch) == most_items or size + weight > most_bytes):
            yield Batch(shard, tuple(batch))
            batch, size = [], 0
        batch.append(item)
        size += weight
    if batch:
        yield Batch(shard, tuple(batch))


class Assembler:
    """Collects records, which come in any order, until their shard is whole."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[str, Record]] = {}
        self._order: dict[int, tuple[str, ...]] = {}

    def expect(self, shard: int, items: Sequence[Item]) -> None:
        """Opens a shard of these items, in the order in which they will be committed."""
        self._order[shard] = tuple(item.id for item in items)
        self._waiting[shard] = {}

    def add(self, shard: int, records: Iterable[Record]) -> list[Record] | None:
        """The whole shard, in its order, once its last record has come; else None."""
        waiting = self._waiting[shard]
        waiting.update((record.item.id, record) for record in records)
        if len(waiting) < len(self._order[shard]):
            return None
        del self._waiting[shard]
        return [waiting[item] for item in self._order.pop(shard)]
