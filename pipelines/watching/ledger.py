"""What has arrived already: the arrivals that the output folder holds, and those of this run.

It is a private temporary SQLite database, rebuilt from the committed parts at every start, so
that ten million items cost disk and not memory, and the parts stay the only truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from capitoline.modalities.schema import Item
from capitoline.pipelines.watching.arrivals import ARRIVAL, token_of


class Ledger:
    """Lets each arrival through once, under an id of its own.

    The second version of an item (a file that was written to, a line with the same id and
    another text) is an item as well: `a.jpg`, then `a.jpg@2`. What was rated is never replaced.
    """

    def __init__(self, rated: Iterable[tuple[str, str]]) -> None:
        """`rated` are the ids and tokens of the items in the output folder."""
        # It is filled by the thread that starts the watch and used by the one that reads the source.
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._base.execute("CREATE TABLE seen (token TEXT PRIMARY KEY) WITHOUT ROWID")
        self._base.execute("CREATE TABLE named (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._base.execute("BEGIN")
        for item_id, token in rated:
            self.add(token)
            self._name(item_id)
        self._base.execute("COMMIT")

    def admit(self, item: Item, version: str) -> Item | None:
        """The item with its token and with an id that is free; None if it has arrived before."""
        token = token_of(item, version)
        if not self.add(token):
            return None
        number, name = 1, item.id
        while not self._name(name):
            number += 1
            name = f"{item.id}@{number}"
        return replace(item, id=name, metadata={**item.metadata, ARRIVAL: token})

    def add(self, token: str) -> bool:
        """Whether `token` is new; from now on it is not."""
        return self._base.execute("INSERT OR IGNORE INTO seen VALUES (?)", (token,)).rowcount == 1

    def has(self, token: str) -> bool:
        return self._base.execute("SELECT 1 FROM seen WHERE token = ?", (token,)).fetchone() is not None

    def close(self) -> None:
        self._base.close()

    def _name(self, item_id: str) -> bool:
        """Whether `item_id` was free; from now on it is not."""
        return self._base.execute("INSERT OR IGNORE INTO named VALUES (?)", (item_id,)).rowcount == 1
