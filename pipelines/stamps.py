"""Whether the archives that a job reads are still as they were when it scanned them.

Members are read by their offsets. In an archive that was rewritten meanwhile another member may lie there, or half of
an old one and half of a new one, and a tar has no checksum that would tell. A stamp hangs on no clock, as what
`alterations.py` finds between two runs has to; but it is kept for archives only, not for ten million files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from capitoline.modalities.schema import Item, Storage
from capitoline.pipelines.records import Record
from capitoline.pipelines.sources.location import is_url

logger = logging.getLogger("capitoline")

Stamp = tuple[int, int, int] | None
"""Inode, bytes and time of the last change in nanoseconds; None if it is gone."""


class Stamps:
    """What the local archives of a job looked like. In an object store, objects are replaced whole and not stamped."""

    def __init__(self) -> None:
        self._scanned: dict[str, Stamp] = {}

    def take(self, archive: str) -> None:
        """Stamps an archive that is about to be opened; it counts as it was the first time."""
        if not is_url(archive):
            self._scanned.setdefault(archive, _stamp(archive))

    def trusted(self, records: Sequence[Record], lost: Callable[[Item, str], Record]) -> list[Record]:
        """The records, but those of members of archives that have changed by now become `lost(item, reason)`."""
        archives = {archive for record in records for archive in self._archives(record.item)}
        changed = {archive for archive in archives if _stamp(archive) != self._scanned[archive]}
        if changed:
            logger.warning("changed after the scan, so what is in it is not rated: %s", ", ".join(sorted(changed)))
        return [
            lost(record.item, f"{min(spoilt)} changed after the scan")
            if (spoilt := changed.intersection(self._archives(record.item)))
            else record
            for record in records
        ]

    def _archives(self, item: Item) -> set[str]:
        """Those that it lies in. A compressed tar is read from where it was unpacked to, which is nobody else's."""
        sources = {file.source for file in item.files if file.storage is not Storage.PLAIN}
        return sources & self._scanned.keys()


def _stamp(archive: str) -> Stamp:
    try:
        found = Path(archive).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
