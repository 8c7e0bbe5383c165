"""WordNet's words with what they mean, as texts: English that says outright what its words stand for.

Of its database (`apt-get install wordnet-base`, /usr/share/wordnet), whose format wndb(5WN) describes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_MARKER = re.compile(r"\(.*\)$")
"""Where an adjective may stand, after its word: `(a)`."""


def glosses(path: Path) -> Iterator[str]:
    """Of each synset in a `data.noun`, `data.verb`, `data.adj` or `data.adv`, its words and its gloss.

    Raises:
        ValueError: a line is none of that format.
    """
    with path.open(encoding="latin-1") as lines:
        for number, line in enumerate(lines, 1):
            if not line.startswith("  "):  # its licence
                yield _gloss(line, f"{path}, line {number}")


def _gloss(line: str, place: str) -> str:
    head, bar, gloss = line.rstrip().partition(" | ")
    fields = head.split()
    try:
        words = [fields[4 + 2 * index] for index in range(int(fields[3], 16))]
    except (ValueError, IndexError):
        words = []
    if not (bar and words):
        raise ValueError(f"{place} is no synset of WordNet: {line[:40]!r}")
    return ", ".join(_MARKER.sub("", word).replace("_", " ") for word in words) + f": {gloss.strip()}"
