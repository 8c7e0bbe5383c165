"""The rows that are done, in part files; the parts are the checkpoint.

Each part holds the rows of one shard of the manifest, in its order. A part is written under a
temporary name, synced and renamed. A row that is in a part is not asked about again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from capitoline.modalities.atomic import write_atomically
from capitoline.pipelines.distillation.answer import Fate
from capitoline.pipelines.distillation.provenance import Row, fate_of, usage_of, with_usage

FILES = {Fate.LABELLED: "labelled.jsonl", Fate.DISCARDED: "discarded.jsonl", Fate.ERROR: "errors.jsonl"}


class Parts:
    """The part files of one output folder."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folder = out / "parts"

    def prepare(self) -> None:
        """Makes the folder and removes what a killed process left half-written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._folder.glob("*.tmp"):
            leftover.unlink()

    def rows(self, part: int) -> list[Row]:
        path = self._path(part)
        return list(_read(path)) if path.exists() else []

    def __iter__(self) -> Iterator[Row]:
        """Every committed row, in the order of the manifest."""
        return (row for path in sorted(self._folder.glob("part-*.jsonl")) for row in _read(path))

    def commit(self, part: int, order: Sequence[str], rows: Iterable[Row]) -> None:
        """Adds rows to a part, whose items are `order`; a row of the same id is replaced, its cost kept.

        Raises:
            OSError: it cannot be written (a full disk); the part stays as it was.
        """
        done = {row["id"]: row for row in self.rows(part)}
        for row in rows:
            earlier = done.get(row["id"])
            done[row["id"]] = with_usage(row, usage_of(earlier)) if earlier else row
        _write(self._path(part), (done[name] for name in order if name in done))

    def publish(self) -> None:
        """Writes the data set, the discarded rows and the errors, each a file beside the parts."""
        for fate, name in FILES.items():
            _write(self._out / name, (row for row in self if fate_of(row) is fate))

    def _path(self, part: int) -> Path:
        return self._folder / f"part-{part:06d}.jsonl"


def _read(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _write(path: Path, rows: Iterable[Row]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    write_atomically(path, write)
