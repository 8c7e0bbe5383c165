"""A job's manifest: every item that the scan found, in shards, so that a resumed job has the very same ones.

One Parquet row group is one shard, the unit of commit. Neither writing nor reading holds more
than one shard in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.schema import File, Item, Storage

_FILE = pa.struct(
    [
        ("source", pa.string()),
        ("name", pa.string()),
        ("size", pa.int64()),
        ("storage", pa.string()),
        ("offset", pa.int64()),
    ]
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("files", pa.list_(_FILE)),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("problem", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """What a job compares to know that it resumes the same work."""

    items: int
    shards: int
    digest: str
    """BLAKE2b-128, hexadecimal, over each item's id, text, tags, files and problem, in order."""


def write_manifest(items: Iterable[Item], path: Path, shard_items: int, shard_bytes: int) -> ManifestInfo:
    """Writes `items` to `path`, whole or not at all.

    A shard closes at `shard_items` items, or before the item that would take it over `shard_bytes`
    of media and text; a larger item has a shard of its own.
    """
    info = ManifestInfo(0, 0, "")

    def write(temporary: Path) -> None:
        nonlocal info
        info = _write(items, temporary, shard_items, shard_bytes)

    write_atomically(path, write)
    return info


def shards(items: Iterable[Item], shard_items: int, shard_bytes: int) -> Iterator[list[Item]]:
    """The items in their shards, none of them empty."""
    shard: list[Item] = []
    size = 0
    for item in items:
        if shard and (len(shard) >= shard_items or size + item_bytes(item) > shard_bytes):
            yield shard
            shard, size = [], 0
        shard.append(item)
        size += item_bytes(item)
    if shard:
        yield shard


def item_bytes(item: Item) -> int:
    """What an item weighs in a shard: its media, and a byte a character of its text."""
    return sum(file.size for file in item.files) + len(item.text or "")


class Manifest:
    """A manifest that was written; its shards by number, from 0.

    Raises ValueError for a file that is no such manifest.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._table = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise ValueError(f"cannot read the manifest {path}: {error}") from error
        if not self._table.schema_arrow.equals(SCHEMA):
            raise ValueError(f"{path} is not a manifest that this version wrote")

    def __len__(self) -> int:
        return int(self._table.num_row_groups)

    @property
    def items(self) -> int:
        return int(self._table.metadata.num_rows)

    def count(self, number: int) -> int:
        """Items of one shard, without reading them."""
        return int(self._table.metadata.row_group(number).num_rows)

    def __iter__(self) -> Iterator[Item]:
        return (item for number in range(len(self)) for item in self.shard(number))

    def shard(self, number: int) -> list[Item]:
        """The items of one shard, in order."""
        return [_item(row) for row in self._table.read_row_group(number, use_threads=False).to_pylist()]


def changed_items(old: Path, new: Path, most: int) -> list[str]:
    """Ids of the first items in which two manifests differ, read side by side."""
    pairs = zip_longest(Manifest(old), Manifest(new))
    different = (after or before for before, after in pairs if before != after)
    return [item.id for item in islice(different, most)]


def _write(items: Iterable[Item], path: Path, shard_items: int, shard_bytes: int) -> ManifestInfo:
    digest = blake2b(digest_size=16)
    count = number = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for shard in shards(items, shard_items, shard_bytes):
            rows = [_row(item) for item in shard]
            for row in rows:
                digest.update(json.dumps([row[name] for name in ("id", "text", "tags", "files", "problem")]).encode())
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA), row_group_size=len(rows))
            count, number = count + len(shard), number + 1
    return ManifestInfo(count, number, digest.hexdigest())


def _row(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "text": item.text,
        "tags": item.tags,
        "files": [asdict(file) for file in item.files],
        "metadata": list(item.metadata.items()),
        "problem": item.problem,
    }


def _item(row: dict[str, Any]) -> Item:
    return Item(
        row["id"],
        row["text"],
        None if row["tags"] is None else tuple(row["tags"]),
        tuple(File(**{**file, "storage": Storage(file["storage"])}) for file in row["files"]),
        dict(row["metadata"]),
        row["problem"],
    )
