"""Rows that arrive, as items that have not arrived before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.location import version_of
from capitoline.pipelines.sources.manifest import row_item
from capitoline.pipelines.sources.media import Media
from capitoline.pipelines.sources.rows import Row
from capitoline.pipelines.watching.arrivals import digest_of
from capitoline.pipelines.watching.ledger import Ledger

NOTHING: Mapping[str, str] = {}


class Admission:
    """Lets each row in once.

    A row without an id is known by its content, so that a producer that does not know what was
    rated before a restart may send everything again.
    """

    def __init__(self, ledger: Ledger, columns: Columns, media: Media) -> None:
        self._ledger, self._columns, self._media = ledger, columns, media

    def __call__(self, row: Row, what: str, metadata: Mapping[str, str] = NOTHING) -> Item | None:
        """The item of a row, `what` it is, with more metadata than the row has; None if it has arrived before."""
        item = row_item(self._named(row, what), what, self._columns, self._media)
        version = "\n".join(_version(file.source) for file in item.files)
        return self._ledger.admit(replace(item, metadata={**item.metadata, **metadata}), version)

    def _named(self, row: Row, what: str) -> Row:
        if row.values.get(self._columns.id):
            return row
        name = f"{what}:{digest_of(row.values, row.problem)}"
        return replace(row, values={**row.values, self._columns.id: name})


def _version(source: str) -> str:
    try:
        return version_of(source)
    except OSError as error:
        return str(error)
