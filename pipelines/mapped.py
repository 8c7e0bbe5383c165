"""The graph as a callable for Ray Data, for those whose pipeline is made of datasets.

    manifest = ray.data.read_parquet("manifest.parquet")  # columns id, text, tags, file
    ratings = manifest.repartition(target_num_rows_per_block=20).map_batches(
        RateBatch, fn_constructor_args=(settings,), concurrency=2, batch_size=20
    )

Ray Data cannot branch, retries an item that kills its process for ever, and drops a bad item's
neighbours; `capitoline rate` does not. With a Parquet manifest and small blocks its checkpoint
holds (0 duplicates, some items rated twice).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import File, Item
from capitoline.pipelines.assembly import job_graph
from capitoline.pipelines.lane import Lane
from capitoline.pipelines.records import Record


class RateBatch:
    """Rates batches of columns: `id`, and any of `text`, `tags` (lists) and `file` (local paths)."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._lane = Lane(job_graph(settings or Settings()))

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The columns `id`, `rating`, `severity` (-1 if unrated) and `review` (reasons), in the same order."""
        rows = [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)]
        records: list[Record] = self._lane([_item(row) for row in rows]).values
        verdicts = [record.verdict for record in records]
        return {
            "id": [verdict.item_id for verdict in verdicts],
            "rating": [verdict.rating for verdict in verdicts],
            "severity": [-1 if verdict.severity is None else verdict.severity for verdict in verdicts],
            "review": ["; ".join(verdict.review) for verdict in verdicts],
        }

    def close(self) -> None:
        """Ends the decoder's process."""
        self._lane.close()


def _item(row: Mapping[str, Any]) -> Item:
    tags, path = row.get("tags"), row.get("file")
    return Item(
        id=str(row["id"]),
        text=row.get("text"),
        tags=None if tags is None else tuple(str(tag) for tag in tags),
        files=(_file(Path(path)),) if path else (),
    )


def _file(path: Path) -> File:
    size = path.stat().st_size if path.exists() else 0  # the decoder says what is wrong with a missing file
    return File(str(path), path.name, size)
