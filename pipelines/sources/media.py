"""Where the media paths of a manifest are looked up: a folder, or the members of an archive."""

from __future__ import annotations

import posixpath
from typing import Protocol

from capitoline.modalities.schema import File
from capitoline.pipelines.sources.archives import Archive
from capitoline.pipelines.sources.entries import EntryIndex
from capitoline.pipelines.sources.families import basename_of, stem_of
from capitoline.pipelines.sources.location import is_url, join, leads_away, size_of
from capitoline.pipelines.sources.names import printable


class Media(Protocol):
    """Finds a manifest's media."""

    def find(self, path: str) -> File:
        """Raises ValueError or OSError, saying why, for what is missing or may not be read."""
        ...


class FolderMedia:
    """Paths relative to a folder. A manifest is untrusted: unless allowed, nothing outside is touched."""

    def __init__(self, folder: str, allow_outside: bool = False) -> None:
        self._folder = folder
        self._allow_outside = allow_outside

    def find(self, path: str) -> File:
        source = path if is_url(path) else join(self._folder, path)
        if not self._allow_outside and self._leaves(path, source):
            raise ValueError("lies outside the media folder; allow that only for manifests that you trust")
        source.encode()  # raises UnicodeEncodeError, a ValueError, for what no file table can hold
        return File(source, printable(path), size_of(source))

    def _leaves(self, path: str, source: str) -> bool:
        if is_url(path) or posixpath.isabs(path) or posixpath.normpath(path).startswith(".."):
            return True
        return not is_url(source) and leads_away(source, self._folder)


class ArchiveMedia:
    """Names of an archive's members."""

    def __init__(self, archive: Archive) -> None:
        self._container = archive.container
        self._index = EntryIndex(archive.entries, basename_of, stem_of)

    def find(self, path: str) -> File:
        found = self._index.find(printable(path.removeprefix("./")))
        if len(found) != 1:
            raise ValueError(f"is {'twice' if found else 'not'} in {self._container.title}")
        if found[0].problem:
            raise ValueError(found[0].problem)
        return self._container.file(found[0])
