"""A Parquet manifest as JSON lines, read in a process of its own: a hostile file ends that one and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import BinaryIO, cast

from capitoline.modalities.decoding.confined import ending, environment
from capitoline.pipelines.sources.limits import BrokenArchiveError, ScanLimits

ROW, PROBLEM = "row", "problem"
"""Keys of a line, of which each has one: a row's columns, or why they cannot be read."""

COMMAND = ("-P", "-m", "capitoline.pipelines.sources.parquet_process")


@contextmanager
def parquet_lines(path: str, limits: ScanLimits) -> Iterator[BinaryIO]:
    """A stream of JSON lines, one a row of the file at `path`.

    Raises:
        BrokenArchiveError: after the last line, when the process did not come to the end of the file.
    """
    process = subprocess.Popen(  # noqa: S603 our own interpreter and module
        [sys.executable, *COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            process.stdin.write(json.dumps([path, asdict(limits)]).encode())
            process.stdin.close()
            yield cast(BinaryIO, process.stdout)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise BrokenArchiveError(f"the process that reads it {ending(process.returncode)}")
