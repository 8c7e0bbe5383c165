"""What a folder or an archive holds, put in order without being held in memory."""

from __future__ import annotations

import posixpath
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby, islice

from capitoline.modalities.schema import File, Storage

CROWD = 64
"""More files than this with one family name are no sample; they are grouped by their own stems."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a container."""

    name: str
    """Printable path inside the container, with `/`."""
    size: int = 0
    offset: int = 0
    source: str = ""
    """Where its bytes lie if not in the container's own source."""
    problem: str = ""
    """Why it cannot be read; its bytes are then not referred to."""

    @property
    def base(self) -> str:
        return posixpath.basename(self.name)


@dataclass(frozen=True, slots=True)
class Container:
    """A folder or an archive: where it lies and what the ids of its members begin with."""

    source: str
    title: str
    storage: Storage = Storage.PLAIN

    def id(self, name: str) -> str:
        return "/".join(part for part in (self.title, name) if part)

    def file(self, entry: Entry) -> File:
        return File(entry.source or self.source, entry.name, entry.size, self.storage, entry.offset)


class EntryIndex:
    """Entries in any order in; out in families, sorted by folder, family, stem and name.

    It is a private temporary SQLite database: in memory while small, else in the system's
    temporary folder, so ten million entries cost disk. Close it after use.
    """

    def __init__(self, entries: Iterable[Entry], family: Callable[[str], str], stem: Callable[[str], str]) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.execute("CREATE TABLE entry (folder, family, stem, name, size, offset, source, problem)")
        rows = (
            (posixpath.dirname(one.name), family(one.base), stem(one.base), one.name, *_tail(one)) for one in entries
        )
        self._base.execute("BEGIN")
        self._base.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._base.execute("COMMIT")

    def close(self) -> None:
        self._base.close()

    def families(self) -> Iterator[list[Entry]]:
        """The files that may belong together; never many at once."""
        rows = self._base.execute("SELECT * FROM entry ORDER BY folder, family, stem, name, offset, rowid")
        for _, family in groupby(rows, key=lambda row: row[:2]):
            first = list(islice(family, CROWD + 1))
            if len(first) <= CROWD:
                yield [_entry(row) for row in first]
                continue
            for _, part in groupby(chain(first, family), key=lambda row: row[2]):
                while some := list(islice(part, CROWD)):
                    yield [_entry(row) for row in some]

    def find(self, name: str) -> list[Entry]:
        """The entries called `name`, two at most."""
        self._base.execute("CREATE INDEX IF NOT EXISTS by_name ON entry (name)")
        with closing(self._base.execute("SELECT * FROM entry WHERE name = ? LIMIT 2", (name,))) as rows:
            return [_entry(row) for row in rows]


def _tail(entry: Entry) -> tuple[int, int, str, str]:
    # SQLite's integers have 63 bits; a size that a hostile header makes larger is over every limit anyhow.
    most = (1 << 63) - 1
    return min(entry.size, most), min(entry.offset, most), entry.source, entry.problem


def _entry(row: tuple[str, str, str, str, int, int, str, str]) -> Entry:
    return Entry(*row[3:])


def lost(name: str, problem: str) -> Entry:
    """The entry that stands for what could not be read; an empty name stands for the container itself."""
    return Entry(name, problem=problem)
