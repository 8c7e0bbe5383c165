"""What an archive is, by its bytes first and by its name where those are destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capitoline.modalities.schema import Storage
from capitoline.pipelines.sources.entries import Container, Entry, lost
from capitoline.pipelines.sources.families import FOLDER_RULE, TAR_RULE, Rule
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.location import open_binary
from capitoline.pipelines.sources.tar import BLOCK, is_tar, tar_entries
from capitoline.pipelines.sources.unpacking import is_compressed, spool_tar, unpacked_head
from capitoline.pipelines.sources.zip import is_zip, zip_entries

ZIP_NAMES = (".zip", ".cbz")
TAR_NAMES = (".tar",)
PACKED_NAMES = (".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive about to be walked."""

    container: Container
    entries: Iterator[Entry]
    rule: Rule


def has_archive_name(name: str) -> bool:
    return name.lower().endswith((*ZIP_NAMES, *TAR_NAMES, *PACKED_NAMES))


def open_archive(path: str, title: str, limits: ScanLimits, spool: Path) -> Archive | None:
    """The archive at `path`, or None if it is none. A compressed tar is unpacked into `spool`.

    Raises OSError where the file cannot be read.
    """
    with open_binary(path) as stream:
        head = stream.read(BLOCK)
    name = path.lower()
    if is_zip(head) or (name.endswith(ZIP_NAMES) and not is_tar(head)):
        return Archive(Container(path, title, Storage.ZIP), zip_entries(path, limits), FOLDER_RULE)
    if is_tar(head):
        return _tar(path, title, tar_entries(path, limits))
    if is_compressed(head) and (is_tar(unpacked_head(path, BLOCK, limits)) or name.endswith(PACKED_NAMES)):
        tar, problem = spool_tar(path, spool, limits)
        return _tar(str(tar), title, _packed_entries(str(tar), problem, limits))
    if name.endswith((*TAR_NAMES, *PACKED_NAMES)):
        return _tar(path, title, tar_entries(path, limits))
    return None


def _tar(path: str, title: str, entries: Iterator[Entry]) -> Archive:
    return Archive(Container(path, title, Storage.TAR), entries, TAR_RULE)


def _packed_entries(path: str, problem: str, limits: ScanLimits) -> Iterator[Entry]:
    if problem:
        yield lost("", problem)
    yield from tar_entries(path, limits)
