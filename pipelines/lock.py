"""One driver an output folder: the lock that it holds while it writes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from capitoline.pipelines.sources.folder import JOB_MARK


class Lock:
    """The hold on an output folder."""

    def __init__(self, out: Path, mark: IO[str]) -> None:
        self._out, self._mark = out, mark

    def check(self) -> None:
        """That what the path names is still the folder that was locked.

        Raises:
            OSError: it was removed, replaced or unmounted; by now it may be the folder of another driver.
        """
        try:
            same = os.path.samestat(os.fstat(self._mark.fileno()), (self._out / JOB_MARK).stat())
        except FileNotFoundError:
            same = False
        if not same:
            raise OSError(f"{self._out} was removed or replaced while the job was writing to it")


@contextmanager
def locked(out: Path) -> Iterator[Lock]:
    """Holds the output folder for one driver.

    Raises:
        ValueError: another driver has it, or it is a file.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; --out is a folder")
    out.mkdir(parents=True, exist_ok=True)
    with (out / JOB_MARK).open("w") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise ValueError(f"another job is writing to {out}; wait for it or choose another --out") from error
        yield Lock(out, mark)
