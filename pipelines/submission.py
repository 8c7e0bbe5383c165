"""The command that hands a job over to a Ray cluster: what `capitoline rate --job` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

PATHS = ("--out", "--config", "--media")
"""Options that name a file or folder, or a URL."""


def submission(server: str, paths: Sequence[str], options: Mapping[str, object]) -> list[str]:
    """The words of `ray job submit` for `capitoline rate PATHS` with `options`, by their long names.

    The job runs on the cluster's head, so paths are made absolute there; it reaches all nodes by
    `--address auto` and draws no progress bar into a log. Options that are False, None or empty are left out.
    """
    words = ["ray", "job", "submit", "--address", server, "--", "capitoline", "rate", *map(_absolute, paths)]
    for name, value in {**options, "--address": "auto", "--quiet": True}.items():
        if value is True:
            words.append(name)
        elif value:
            words += [name, _absolute(str(value)) if name in PATHS else str(value)]
    return words


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())
