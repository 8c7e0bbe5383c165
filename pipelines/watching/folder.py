"""What arrives in a folder or under a prefix of an object store, by looking again and again.

A file is taken once neither it nor what stands beside it under its name has changed for a
while, so that nothing half-written is read; a file renamed into the folder is whole from the
start. Only what this process sees counts: clocks of other machines decide nothing.
"""

from __future__ import annotations

import logging
import posixpath
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.archives import has_archive_name
from capitoline.pipelines.sources.entries import Container, Entry, EntryIndex
from capitoline.pipelines.sources.families import FOLDER_RULE, stem_of
from capitoline.pipelines.sources.folder import folder_entries
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.location import forget_listings, is_folder, normalised, title, version_of
from capitoline.pipelines.sources.names import printable
from capitoline.pipelines.sources.scan import scan
from capitoline.pipelines.watching.arrivals import Arrival, digest_of
from capitoline.pipelines.watching.ledger import Ledger

logger = logging.getLogger("capitoline")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a folder is looked at, and for how long a file must rest. Seconds."""

    poll: float = 1.0
    settle: float = 2.0
    until_idle: float | None = None
    """After so long without anything new the watch ends; None: never."""


class FolderSource:
    """A folder, by its path or fsspec URL, with everything below it.

    Raises:
        ValueError: there is no such folder.
    """

    repeats = True

    def __init__(self, folder: str, ledger: Ledger, limits: ScanLimits, spool: Path, patience: Patience) -> None:
        place = normalised(folder)
        if not is_folder(place):
            raise ValueError(
                f"{folder} is no folder; to watch a growing file: tail -F {folder} | capitoline watch - --out …"
            )
        self._container = Container(place, printable(title(place)))
        self._ledger, self._limits, self._spool, self._patience = ledger, limits, spool, patience
        self._settling: dict[str, float] = {}
        """By the token of a family's files as they are now, since when they have been so."""

    def arrivals(self, stopping: Event) -> Iterator[Arrival]:
        """Whatever has settled, in the order of its names within one look."""
        quiet_since = time.monotonic()
        while not stopping.is_set():
            started = time.monotonic()
            for arrival in self._look(started):
                yield arrival
                quiet_since = time.monotonic()
            ended = time.monotonic()
            if self._settling:
                quiet_since = ended
            elif self._patience.until_idle is not None and ended - quiet_since >= self._patience.until_idle:
                return
            # Looking takes half of the time at most, however large the folder.
            stopping.wait(max(self._patience.poll, ended - started))

    def acknowledge(self, items: Sequence[Item]) -> None:
        """What was rated stays where it lies."""

    def close(self) -> None:
        """Nothing is open between two looks."""

    def _look(self, now: float) -> Iterator[Arrival]:
        forget_listings(self._container.source)
        settling: dict[str, float] = {}
        with closing(EntryIndex(self._entries(), stem_of, stem_of)) as index:
            for family in index.families():
                versions = _versions(family)
                token = digest_of(sorted(versions.items()))
                if not versions or self._ledger.has(token):
                    continue
                since = self._settling.get(token, now)
                if now - since < self._patience.settle:
                    settling[token] = since
                else:
                    yield from self._new_items(family, versions)
                    self._ledger.add(token)
        self._settling = settling

    def _entries(self) -> Iterator[Entry]:
        for entry in folder_entries(self._container.source):
            if entry.name:
                yield entry
            else:  # the folder itself: a store that is away for a moment is no item
                logger.warning("%s: %s; trying again", self._container.source, entry.problem)

    def _new_items(self, family: Sequence[Entry], versions: Mapping[str, str]) -> Iterator[Arrival]:
        for item, version in self._items(family, versions):
            admitted = self._ledger.admit(item, version)
            if admitted is not None:
                yield Arrival(admitted)

    def _items(self, family: Sequence[Entry], versions: Mapping[str, str]) -> Iterator[tuple[Item, str]]:
        """The items of a family and the version of their files; an archive's members are items."""
        archives = [one for one in family if has_archive_name(one.base) and not one.problem]
        for archive in archives:
            prefix = posixpath.dirname(self._container.id(archive.name))
            for item in _members(archive, self._limits, self._spool):
                yield replace(item, id=f"{prefix}/{item.id}"), versions[archive.name]
        rest = [one for one in family if one not in archives]
        by_source = {one.source: versions[one.name] for one in rest}
        for item in FOLDER_RULE.items(self._container, rest):
            yield item, "\n".join(by_source[file.source] for file in item.files)


def _versions(family: Sequence[Entry]) -> dict[str, str]:
    """By name, the files as they are now; empty if one of them went away meanwhile."""
    try:
        return {one.name: one.problem or version_of(one.source) for one in family}
    except OSError:
        return {}


def _members(archive: Entry, limits: ScanLimits, spool: Path) -> Iterator[Item]:
    try:
        return scan([archive.source], limits, spool)
    except ValueError as error:  # it went away since it was listed
        return iter([Item(printable(archive.base), problem=str(error))])
