"""Labelled rows from JSON lines, as a `Source` describes them.

A missing label is unknown, not harmless: the row is left out. Rows of one group (a film's
title) stay on one side of every division, so that nothing is chosen on what it was trained on.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Source


class Division(StrEnum):
    """What a row is used for."""

    TRAIN = "train"
    SELECTION = "selection"
    """Held out of training to choose the epoch and the temperature."""
    VALIDATION = "val"
    """Reported on, and never used to choose anything."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled row."""

    id: str
    source: Source
    row: Mapping[str, Any]
    index: int
    """Position in its file, by which arrays that go with it are addressed."""
    severity: int
    division: Division

    @property
    def key(self) -> tuple[str, str, int]:
        """Unique among the examples of a run: one row may teach two heads."""
        return self.source.file, self.source.head, self.index


def read_examples(
    sources: Iterable[Source], data: Path, labels: Sequence[str], selection: float = 0.0
) -> list[Example]:
    """Every row of `sources` that has a label, in file order.

    `selection` is the share of training groups that is held out to choose on.

    Raises:
        ValueError: a file is missing, a row is not an object with `id` and `split`, or a
            label is neither on the scale nor mapped onto it.
    """
    return [example for source in sources for example in _read(source, data, labels, selection)]


def _read(source: Source, data: Path, labels: Sequence[str], selection: float) -> Iterator[Example]:
    for index, row in enumerate(_rows(data / source.file)):
        label = row.get(source.label)
        if label is None:
            continue
        severity = _severity(str(label), source, labels)
        yield Example(str(row["id"]), source, row, index, severity, _division(row, source, selection))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise ValueError(f"no labelled data at {path}; set CAPITOLINE_DATA or --data to the folder that holds it")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            if not isinstance(row, dict) or not {"id", "split"} <= row.keys():
                raise ValueError(f"{path}, line {number}: a row is an object with `id` and `split`")
            yield row


def _severity(label: str, source: Source, labels: Sequence[str]) -> int:
    name = source.mapping.get(label, label)
    if name not in labels:
        raise ValueError(f"{source.file}: the label {label!r} is not on the scale; give it a line under `mapping:`")
    return labels.index(name)


def _division(row: Mapping[str, Any], source: Source, selection: float) -> Division:
    if row["split"] != "train":
        return Division.VALIDATION
    group = str(row.get(source.group) or row["id"]).strip().casefold()
    place = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest()) / 2**64
    return Division.SELECTION if place < selection else Division.TRAIN


def severities_of(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """(N,) true severities."""
    return np.array([one.severity for one in examples], np.int64)
