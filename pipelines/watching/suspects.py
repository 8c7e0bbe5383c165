"""Items that were being rated when a process died: rated alone after that, and given up at last.

Without this, one file that crashes a library would crash the watch at every restart, for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.schema import Item
from capitoline.pipelines.store import unchecked
from capitoline.pipelines.watching.arrivals import ARRIVAL

IN_HAND = "in-hand.json"
"""Beside the tables: by arrival token, in how many processes that died an item was being rated."""
DEATHS = 3
"""So many processes an item may take with it: the first may have died of a neighbour, another of a person."""


class Suspects:
    """The memory of deaths of one output folder."""

    def __init__(self, out: Path, is_rated: Callable[[str], bool], check: Callable[[], None] = unchecked) -> None:
        """`check` raises OSError once the folder is not ours any more."""
        self._path, self._check = out / IN_HAND, check
        deaths: dict[str, int] = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        self._deaths = {token: count for token, count in deaths.items() if not is_rated(token)}

    def suspects(self, item: Item) -> bool:
        """Whether a process died while it rated this item, alone or with others."""
        return item.metadata[ARRIVAL] in self._deaths

    def condemns(self, item: Item) -> bool:
        """Whether the item has been there at so many deaths that it is not rated again."""
        return self._deaths.get(item.metadata[ARRIVAL], 0) >= DEATHS

    def take_in_hand(self, items: Sequence[Item]) -> None:
        """Remembers, before they are rated, that these items will have been there if the process dies."""
        self._check()
        tokens = [item.metadata[ARRIVAL] for item in items]
        text = json.dumps(self._deaths | {token: self._deaths.get(token, 0) + 1 for token in tokens})
        write_atomically(self._path, lambda path: path.write_text(text, encoding="utf-8"))

    def acquit(self, items: Sequence[Item]) -> None:
        """Forgets items that are rated and committed."""
        for item in items:
            self._deaths.pop(item.metadata[ARRIVAL], None)

    def close(self) -> None:
        """At an end that is no death, be it a full disk: what was in hand is not held against it."""
        if self._deaths:
            self.take_in_hand(())
        else:
            self._check()
            self._path.unlink(missing_ok=True)
