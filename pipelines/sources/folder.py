"""Every file below a folder, local or in an object store.

Hidden files, `__MACOSX` and the results of jobs are left out, and counted in the log. A link to a file inside the
folder is read; a link to a folder inside is not followed, its files come under their own name;
a link that leaves the folder is a problem, and so is whatever cannot be read: nothing else is
skipped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from capitoline.pipelines.sources.entries import Entry, lost
from capitoline.pipelines.sources.location import is_unicode, is_url, listing
from capitoline.pipelines.sources.names import printable

JOB_MARK = ".capitoline"
"""A file in the output folder of every job: results that lie among the input are not rated."""
LINK_AWAY = "a link that leaves the folder; name its target to have it rated"

_log = logging.getLogger(__name__)


def folder_entries(folder: str) -> Iterator[Entry]:
    """Entries in no particular order; each with its own source."""
    return _remote(folder) if is_url(folder) else _local(Path(folder))


def hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _local(root: Path) -> Iterator[Entry]:
    waiting, left_out = [""], 0
    inside = os.path.realpath(root) + os.sep
    while waiting:
        folder = waiting.pop()
        try:
            if folder and (root / folder / JOB_MARK).exists():
                _log.info("left out %s: the results of a job", root / folder)
                continue
            with os.scandir(root / folder) as found:
                for one in found:
                    if hidden(one.name):
                        left_out += 1
                    elif one.is_dir(follow_symlinks=False):
                        waiting.append(f"{folder}{one.name}/")
                    else:
                        yield from _local_file(one, f"{folder}{one.name}", inside)
        except OSError as error:
            yield lost(printable(folder.rstrip("/")), f"the folder cannot be read: {error.strerror}")
    _report(left_out, str(root))


def _local_file(found: os.DirEntry[str], name: str, inside: str) -> Iterator[Entry]:
    label = printable(name)
    try:
        if found.is_symlink() and not (os.path.realpath(found.path) + os.sep).startswith(inside):
            yield lost(label, LINK_AWAY)
        elif found.is_dir():
            _log.info("%s is a link to a folder that is rated under its own name", label)
        elif not found.is_file():
            yield lost(label, "neither a file nor a folder, or a link to nothing")
        elif not is_unicode(found.path):
            yield lost(label, "its name is not UTF-8; rename it to have it rated")
        else:
            yield Entry(label, found.stat().st_size, source=found.path)
    except OSError as error:
        yield lost(label, f"cannot be read: {error.strerror}")


def _remote(root: str) -> Iterator[Entry]:
    waiting, left_out = [""], 0
    while waiting:
        folder = waiting.pop()
        try:
            found = listing(f"{root}/{folder}".rstrip("/"))
        except OSError as error:
            yield lost(printable(folder.rstrip("/")), f"the folder cannot be read: {error}")
            continue
        for name, is_folder, size in found:
            if hidden(name):
                left_out += 1
            elif is_folder:
                waiting.append(f"{folder}{name}/")
            else:
                yield Entry(printable(folder + name), size, source=f"{root}/{folder}{name}")
    _report(left_out, root)


def _report(left_out: int, root: str) -> None:
    if left_out:
        _log.info("left out %d hidden files and folders below %s", left_out, root)
