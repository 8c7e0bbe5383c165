"""Local paths and fsspec URLs, told apart in one place."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)")


def is_url(path: str) -> bool:
    return _URL.match(path) is not None


def normalised(path: str) -> str:
    """An absolute local path, also for `file://`; any other URL as it is, without a slash at its end."""
    if path.startswith("file://"):
        path = unquote(urlsplit(path).path)
    return path.rstrip("/") if is_url(path) else str(Path(path).absolute())


def title(path: str) -> str:
    """What a person calls it: the last part of the path."""
    return (
        posixpath.basename(path)
        if is_url(path)
        else Path(path).resolve().name
        if Path(path).name in ("", "..")
        else Path(path).name
    )


def join(folder: str, relative: str) -> str:
    return f"{folder}/{relative}" if is_url(folder) else str(Path(folder, relative))


def parent(path: str) -> str:
    return posixpath.dirname(path) if is_url(path) else str(Path(path).parent)


def is_unicode(path: str) -> bool:
    """Whether a table can hold the path."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def leads_away(path: str, folder: str) -> bool:
    """Whether a local path, all links followed, lies outside `folder`."""
    return Path(os.path.realpath(folder)) not in Path(os.path.realpath(path)).parents


def exists(path: str) -> bool:
    """Raises OSError where the store cannot be asked."""
    if is_url(path):
        system, inner = _system(path)
        return bool(system.exists(inner))
    return os.path.lexists(path)


def is_folder(path: str) -> bool:
    if is_url(path):
        system, inner = _system(path)
        return bool(system.isdir(inner))
    return Path(path).is_dir()


def size_of(path: str) -> int:
    """Bytes. Raises OSError for what is not there or is no ordinary file."""
    if is_url(path):
        system, inner = _system(path)
        about = system.info(inner)
        if about["type"] != "file":
            raise OSError("is not a file")
        return int(about["size"] or 0)  # some servers do not say
    if not Path(path).is_file():
        raise OSError("is not there" if not os.path.lexists(path) else "is not an ordinary file")
    return Path(path).stat().st_size


def version_of(path: str) -> str:
    """Something that changes when the file does: its size and time, or a store's tag."""
    if is_url(path):
        system, inner = _system(path)
        about = system.info(inner)
        known = ("size", "ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "created")
        return repr([(key, str(about[key])) for key in known if key in about])
    about_file = Path(path).stat()
    return f"{about_file.st_size} {about_file.st_mtime_ns}"


def forget_listings(path: str) -> None:
    """Lets a store be asked anew what it holds: fsspec remembers what it has listed."""
    if is_url(path):
        _system(path)[0].invalidate_cache()


def open_binary(path: str) -> BinaryIO:
    """A seekable stream. Raises OSError."""
    if is_url(path):
        system, inner = _system(path)
        return cast(BinaryIO, system.open(inner, "rb"))
    if not Path(path).is_file():  # opening a pipe would wait for ever
        raise OSError("is not an ordinary file")
    return Path(path).open("rb")


def _system(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    system, inner = url_to_fs(url)
    return system, str(inner)


def listing(url: str) -> list[tuple[str, bool, int]]:
    """(name, whether it is a folder, bytes) of what lies directly in a stored folder. Raises OSError."""
    system, inner = _system(url)
    return [
        (posixpath.basename(one["name"].rstrip("/")), one["type"] == "directory", int(one.get("size") or 0))
        for one in system.ls(inner, detail=True)
        if one["name"].strip("/") != inner.strip("/")  # some stores list a folder's own marker in it
    ]
