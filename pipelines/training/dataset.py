"""Labelled rows from JSON lines, as a `Source` describes them.

A missing label is unknown, not harmless: that axis of a head learns nothing from the row, and a row
of which nothing is known is left out. Rows of one group (a film's
title) stay on one side of every division, so that nothing is chosen on what it was trained on.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Source
from capitoline.modalities.networks.losses import UNKNOWN
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.pipelines.training.folds import place_of


class Division(StrEnum):
    """What a row is used for."""

    TRAIN = "train"
    SELECTION = "selection"
    """Held out of training to choose the epoch and the temperature."""
    VALIDATION = "val"
    """Reported on, and never used to choose anything."""
    BLEND = "blend"
    """Made of training rows, without a label: learned from through teachers, and counted nowhere."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled row."""

    id: str
    source: Source
    row: Mapping[str, Any]
    index: int
    """Position in its file, by which arrays that go with it are addressed."""
    severities: tuple[int, ...]
    """(A,) of the axes of its head; -1 is unknown."""
    division: Division
    stretch: tuple[int, int] | None = None
    """First frame and the one after the last, of a clip that is cut; else the example is whole."""

    @property
    def severity(self) -> int:
        """Of a head of one axis."""
        (severity,) = self.severities
        return severity

    @property
    def group(self) -> str:
        """Examples of one group stand on one side of every division."""
        return group_of(self.row, self.source.group)

    @property
    def key(self) -> tuple[str, str, int, tuple[int, int] | None]:
        """Unique among the examples of a run: one row may teach two heads, and be cut into several examples."""
        return self.source.file, self.source.head, self.index, self.stretch


def group_of(row: Mapping[str, Any], column: str) -> str:
    """What `column` says that the row belongs to, in one spelling; a row without it is a group of its own."""
    return str(row.get(column) or row["id"]).strip().casefold()


def read_examples(
    sources: Iterable[Source],
    data: Path,
    labels: Sequence[str],
    selection: float = 0.0,
    heads: Mapping[str, HeadShape] | None = None,
) -> list[Example]:
    """Every row of `sources`, of split train or val, of which something is known, in file order.

    Args:
        labels: of the heads that `heads` does not name.
        selection: share of the training groups that is held out to choose on.

    Raises:
        ValueError: a file is missing, a row is not an object with `id` and `split`, or a
            label is neither a level of its head nor mapped onto one.
    """
    ordinal, named = HeadShape(tuple(labels)), heads or {}
    return [
        example for source in sources for example in _read(source, data, named.get(source.head, ordinal), selection)
    ]


def _read(source: Source, data: Path, head: HeadShape, selection: float) -> Iterator[Example]:
    unknown_axes = source.axes.keys() - set(head.axes)
    if unknown_axes:
        raise ValueError(f"{source.file}: the head {source.head!r} has no axis {', '.join(sorted(unknown_axes))}")
    for index, row in enumerate(labelled_rows(data / source.file)):
        division = _division(row, source, selection)
        if division is None or any(str(row.get(name)) != value for name, value in source.where.items()):
            continue
        severities = _severities(row, source, head)
        if any(one != UNKNOWN for one in severities):
            for stretch in stretches(row["frames"], source.frames) if source.frames else (None,):
                yield Example(str(row["id"]), source, row, index, severities, division, stretch)


def stretches(count: int, frames: int) -> list[tuple[int, int]]:
    """`count` frames in rows of `frames`; what is left over is dropped, but a short clip stays."""
    return [(start, min(start + frames, count)) for start in range(0, max(1, count - frames + 1), frames)]


def labelled_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, perhaps gzipped.

    Raises:
        ValueError: the file is missing, or a row is not an object with `id` and `split`.
    """
    if not path.is_file():
        raise ValueError(f"no labelled data at {path}; set CAPITOLINE_DATA or --data to the folder that holds it")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            if not isinstance(row, dict) or not {"id", "split"} <= row.keys():
                raise ValueError(f"{path}, line {number}: a row is an object with `id` and `split`")
            yield row


def _severities(row: Mapping[str, Any], source: Source, head: HeadShape) -> tuple[int, ...]:
    """(A,), by whichever of `axes`, `listed` and `label` the source uses."""
    if source.axes:
        return tuple(_severity(_value(row, source.axes.get(axis, "")), source, head) for axis in head.axes)
    if source.listed:
        return _listed(row.get(source.listed), source, head)
    if not head.is_one_axis:
        raise ValueError(f"{source.file}: the head {source.head!r} has several axes; give `axes:` or `listed:`")
    return (_severity(row.get(source.label), source, head),)


def _value(row: Mapping[str, Any], column: str) -> Any:
    """Of a column, or of `column.key` within an object; None where either is missing."""
    name, _, key = column.partition(".")
    value = row.get(name)
    return value.get(key) if key and isinstance(value, dict) else None if key else value


def _severity(value: Any, source: Source, head: HeadShape) -> int:
    if value is None:
        return UNKNOWN
    label = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    name = source.mapping.get(label, label)
    if name not in head.levels:
        raise ValueError(f"{source.file}: the label {label!r} is not on the scale; give it a line under `mapping:`")
    return head.levels.index(name)


def _listed(value: Any, source: Source, head: HeadShape) -> tuple[int, ...]:
    if isinstance(value, str):
        value = [one.strip() for one in value.replace(";", ",").split(",") if one.strip()]
    if not isinstance(value, list):
        return (UNKNOWN,) * len(head.axes)
    present = {source.mapping.get(str(one), str(one)) for one in value}
    strangers = sorted(present - set(head.axes))
    if strangers and not source.others:
        remedy = "give it a line under `mapping:`, or `others: true` to leave out what is none"
        raise ValueError(f"{source.file}: {strangers[0]!r} is no axis of the head; {remedy}")
    absent = 0 if source.complete else UNKNOWN
    return tuple(len(head.levels) - 1 if axis in present else absent for axis in head.axes)


def _division(row: Mapping[str, Any], source: Source, selection: float) -> Division | None:
    """None for a row that is neither to learn from nor to report on."""
    if row["split"] != "train":
        return Division.VALIDATION if row["split"] == "val" else None
    return Division.SELECTION if place_of(group_of(row, source.group)) < selection else Division.TRAIN


def divided(examples: Sequence[Example]) -> dict[Division, list[Example]]:
    """The examples of each division."""
    return {division: [one for one in examples if one.division is division] for division in Division}


def severities_of(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """(N,) true severities of examples of a head of one axis."""
    return np.array([one.severity for one in examples], np.int64)


def targets_of(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """(N, A) true severities of examples of one head; -1 is unknown."""
    return np.array([one.severities for one in examples], np.int64)
