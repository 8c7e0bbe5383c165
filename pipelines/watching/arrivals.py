"""What arrives to be rated, and where it arrives from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Event
from typing import Protocol

from capitoline.modalities.schema import Item

ARRIVAL = "arrival"
"""The column of an item's metadata that holds its arrival's token."""

GLANCE_SECONDS = 0.2
"""How long a thread waits for something before it looks whether the watch is to stop."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An item that has not been rated yet."""

    item: Item
    """With an id that no other item of the output has."""
    since: float = field(default_factory=time.monotonic)
    """When it arrived, by the clock that never turns back."""
    alone: bool = False
    """Whether it must not share a batch: a process died while it was being rated."""


class Source(Protocol):
    """Where items arrive."""

    repeats: bool
    """Whether what was not rated arrives again after a restart; if not, a graceful stop rates it first."""

    def arrivals(self, stopping: Event) -> Iterator[Arrival]:
        """Everything that arrives, for ever, or until `stopping` or the end of what can arrive.

        Taking an arrival late holds the source back.
        """
        ...

    def acknowledge(self, items: Sequence[Item]) -> None:
        """These of its items are in the output now. Another thread may call it than the one that reads."""
        ...

    def close(self) -> None:
        """Lets go of what it holds; `arrivals` is to be stopped before."""
        ...


def token_of(item: Item, version: str) -> str:
    """A digest by which the same arrival is known again: the item as it was offered, and the version of its files.

    Metadata that changes makes no new arrival, since no expert looks at it.
    """
    files = [(file.name, file.size, file.offset) for file in item.files]
    return digest_of(item.id, item.text, item.tags, item.problem, files, version)


def digest_of(*parts: object) -> str:
    """BLAKE2b-128, hexadecimal, of anything that JSON can hold."""
    return blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
