"""The items of a manifest: one a row, with an id, a text, tags, media found by path, and metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capitoline.modalities.schema import File, Item
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.media import Media
from capitoline.pipelines.sources.names import printable, unicode
from capitoline.pipelines.sources.rows import Row, read_rows
from capitoline.pipelines.sources.sidecars import metadata_value, split_tags


def manifest_items(path: str, title: str, columns: Columns, media: Media, limits: ScanLimits) -> Iterator[Item]:
    """Items in the order of the rows. A row without an id gets `title:line`.

    Raises:
        OSError: the manifest cannot be opened.
        ValueError: at the end, when no row has a column that the user named.
    """
    missing, seen, row = columns.required, dict[str, None](), None
    for row in read_rows(path, limits):
        if missing:
            missing -= row.values.keys()
            seen.update(dict.fromkeys(row.values))
        yield row_item(row, title, columns, media)
    if row is None:
        yield Item(title, problem="the manifest has no rows")
    elif missing:
        raise ValueError(
            f"no row of {title} has a column {', '.join(map(repr, sorted(missing)))}; it has: {', '.join(seen)}"
        )


def row_item(row: Row, title: str, columns: Columns, media: Media) -> Item:
    """The item of one row; what is wrong with it is the item's problem."""
    values, problems = row.values, [row.problem]
    files = _files(values, columns, media, problems)
    text = _text(values.get(columns.text), problems)
    tags = split_tags(values.get(columns.tags)) or None
    if text is None and tags is None and not files and not any(problems):
        problems.append(f"has no {columns.text}, {columns.tags} or media ({', '.join(columns.media)})")
    known = {columns.id, columns.text, columns.tags, *columns.media}
    metadata = {
        printable(str(key)): metadata_value(value)
        for key, value in values.items()
        if key not in known and value is not None
    }
    name = printable(str(values.get(columns.id) or f"{title}:{row.number}"))
    return Item(name, text, tags, files, metadata, "; ".join(filter(None, problems)))


def _text(value: Any, problems: list[str]) -> str | None:
    if value is None or isinstance(value, str):
        return unicode(value) if value else None
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return unicode("\n".join(value)) or None
    problems.append(f"its text is a {type(value).__name__}, not a string")
    return None


def _files(values: dict[str, Any], columns: Columns, media: Media, problems: list[str]) -> tuple[File, ...]:
    """The row's media, each once; what cannot be had is added to `problems`."""
    files: dict[File, None] = {}
    for column in columns.media:
        value = values.get(column)
        for path in value if isinstance(value, list) else [value]:
            if path is None or path == "":
                continue
            try:
                files[_find(path, media)] = None
            except Exception as error:  # every store has errors of its own
                problems.append(f"{column} {printable(str(path))}: {error}")
    return tuple(files)


def _find(path: object, media: Media) -> File:
    if not isinstance(path, str):
        raise ValueError(f"is a {type(path).__name__}, not a path")
    return media.find(path)
