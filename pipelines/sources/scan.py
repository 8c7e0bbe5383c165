"""From what the user named to items: folders, archives, manifests, files, here or in an object store.

The scan reads directory entries, archive indexes, manifests and sidecar texts; it decodes
nothing. The same input gives the same items in the same order. Nothing is skipped in silence:
what cannot be read is an item with a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.archives import Archive, has_archive_name, open_archive
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.entries import Container, Entry, EntryIndex, lost
from capitoline.pipelines.sources.families import FOLDER_RULE, MEDIA, Rule, extension, plain_item, stem_of
from capitoline.pipelines.sources.folder import LINK_AWAY, folder_entries
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.location import (
    exists,
    is_folder,
    is_unicode,
    is_url,
    leads_away,
    normalised,
    parent,
    size_of,
    title,
)
from capitoline.pipelines.sources.manifest import manifest_items
from capitoline.pipelines.sources.media import ArchiveMedia, FolderMedia, Media
from capitoline.pipelines.sources.names import UniqueNames, printable
from capitoline.pipelines.sources.rows import is_manifest
from capitoline.pipelines.sources.sidecars import FIELDS


def _heedless(path: str) -> None:
    """For a scan whose archives nobody changes, or whose changes somebody else sees."""


def scan(
    paths: Sequence[str],
    limits: ScanLimits,
    spool: Path,
    *,
    columns: Columns | None = None,
    media_root: str | None = None,
    allow_outside: bool = False,
    opening: Callable[[str], None] = _heedless,
) -> Iterator[Item]:
    """All items, lazily, with ids that are unique.

    Args:
        paths: files, folders, archives, manifests; local paths or fsspec URLs.
        spool: a folder for unpacked tars; it must live as long as the items are read.
        columns: of the manifests; by default the names in `Columns`.
        media_root: the folder or archive in which manifests' media lie; by default beside each.
        allow_outside: whether manifests may name absolute paths, URLs and paths above the root.
        opening: called with the path of each archive before it is opened.

    Raises:
        ValueError: a path that is not there; while iterating, a manifest without a named column.
    """
    places = [_there(path) for path in paths]
    root = None if media_root is None else _there(media_root)
    job = _Scan(limits, spool, columns or Columns(), root, allow_outside, opening)
    return _unique(item for place in places for item in job.items(place))


def _there(path: str) -> str:
    place = normalised(path)
    if not is_unicode(place):
        raise ValueError(f"the name of {printable(path)} is not UTF-8; rename it to have it rated")
    try:
        found = exists(place)
    except (OSError, ValueError, ImportError) as error:
        raise ValueError(f"cannot reach {path}: {error}") from error
    if not found:
        raise ValueError(f"there is no {path}")
    return place


def _unique(items: Iterable[Item]) -> Iterator[Item]:
    names = UniqueNames()
    for item in items:
        name = names(item.id)
        yield item if name == item.id else replace(item, id=name)


@dataclass(frozen=True, slots=True)
class _Scan:
    limits: ScanLimits
    spool: Path
    columns: Columns
    media_root: str | None
    allow_outside: bool
    opening: Callable[[str], None]

    def items(self, path: str) -> Iterator[Item]:
        name = printable(title(path))
        try:
            if is_folder(path):
                yield from self._folder(Container(path, name))
            elif is_manifest(path):
                yield from manifest_items(path, name, self.columns, self._media(path), self.limits)
            elif archive := self._open(path, name):
                yield from _archive(archive)
            else:
                yield from FOLDER_RULE.items(Container(path, ""), _with_sidecars(path, name))
        except OSError as error:
            yield Item(name, problem=f"cannot be read: {error}")

    def _folder(self, container: Container) -> Iterator[Item]:
        """A folder's items; archives in it, which must be named so, are walked as if the user had named them."""
        for family in _families(folder_entries(container.source), FOLDER_RULE):
            archives = [one for one in family if has_archive_name(one.base) and not one.problem]
            for one in archives:
                yield from self._member_archive(container, one)
            yield from FOLDER_RULE.items(container, [one for one in family if one not in archives])

    def _member_archive(self, container: Container, entry: Entry) -> Iterator[Item]:
        name = container.id(entry.name)
        try:
            archive = self._open(entry.source, name)
            yield from _archive(archive) if archive else [plain_item(container, entry)]
        except OSError as error:
            yield Item(printable(name), problem=f"cannot be read: {error}")

    def _media(self, manifest: str) -> Media:
        root = self.media_root
        if root is None or is_folder(root):
            return FolderMedia(root or parent(manifest), self.allow_outside)
        archive = self._open(root, title(root))
        if archive is None:
            raise ValueError(f"{root} is neither a folder nor an archive; media are looked up in one of these")
        return ArchiveMedia(archive)

    def _open(self, path: str, name: str) -> Archive | None:
        self.opening(path)
        return open_archive(path, name, self.limits, self.spool)


def _with_sidecars(path: str, name: str) -> list[Entry]:
    """A file that the user named and, if it is a medium, what stands beside it under its name.

    Without its prompt and tags the same picture could come out milder than in its folder.
    """
    named = Entry(name, size_of(path), source=path)
    if extension(named.base) not in MEDIA:
        return [named]
    stems = dict.fromkeys((path, path.rpartition(".")[0]))
    beside = [f"{stem}.{field}" for stem in stems for field in FIELDS]
    return [named, *(_sidecar(one) for one in beside if exists(one))]


def _sidecar(path: str) -> Entry:
    name = printable(title(path))
    if not is_url(path) and leads_away(path, parent(path)):
        return lost(name, LINK_AWAY)
    return Entry(name, size_of(path), source=path)


def _archive(archive: Archive) -> Iterator[Item]:
    for family in _families(archive.entries, archive.rule):
        yield from archive.rule.items(archive.container, family)


def _families(entries: Iterator[Entry], rule: Rule) -> Iterator[list[Entry]]:
    with closing(EntryIndex(_to_the_end(entries), rule.family, stem_of)) as index:
        yield from index.families()


def _to_the_end(entries: Iterator[Entry]) -> Iterator[Entry]:
    """All that can be read; a read error half-way is an entry too."""
    try:
        yield from entries
    except OSError as error:
        yield lost("", f"cannot be read on: {error}")
