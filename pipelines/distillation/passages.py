"""Texts cut into passages that a teacher reads whole.

Rows of the split `val` are left out although no label is read: figures on them stay those of unseen texts.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from capitoline.configs.distillation import Texts

_SENTENCE_ENDS = re.compile(r"(?<=[.!?\n])\s+")


def read_passages(texts: Iterable[Texts], data: Path, longest: int) -> list[str]:
    """Every different passage of the files, in the order of their first appearance.

    Raises:
        ValueError: a file is missing, or no row of it has a text in the columns named.
    """
    whole = ((text, one.passages) for one in texts for text in _some(one, data))
    return list(dict.fromkeys(passage for text, count in whole for passage in divide(text, longest)[:count]))


def _some(source: Texts, data: Path) -> list[str]:
    found = [*_texts_of(source, data)]
    if not found:
        raise ValueError(
            f"{data / source.file}: no row outside the split val has a text in {', '.join(source.columns)}"
        )
    return found


def _texts_of(source: Texts, data: Path) -> Iterator[str]:
    path = data / source.file
    if not path.is_file():
        raise ValueError(f"no texts at {path}; set CAPITOLINE_DATA or --data to the folder that holds it")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            text = " ".join(str(row[name]) for name in source.columns if row.get(name)).strip()
            if text and row.get("split") != "val":
                yield text


def divide(text: str, longest: int) -> list[str]:
    """`text` in passages of at most `longest` characters that end where sentences do, if sentences are shorter."""
    passages: list[str] = []
    for sentence in _SENTENCE_ENDS.split(text.strip()):
        for start in range(0, len(sentence), longest):
            piece = sentence[start : start + longest]
            if passages and len(passages[-1]) + 1 + len(piece) <= longest:
                passages[-1] += " " + piece
            else:
                passages.append(piece)
    return passages
