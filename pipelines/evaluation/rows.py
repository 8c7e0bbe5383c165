"""The labelled rows that a task is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capitoline.configs.evaluation import Task
from capitoline.configs.training import Source
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.pipelines.training.dataset import Division, Example, divided, read_examples
from capitoline.pipelines.training.texts import example_text


@dataclass(frozen=True, slots=True)
class Rows:
    """A task's rows, divided."""

    reported: list[Example]
    held_out: list[Example]
    """Of the split train, but not trained on: what thresholds are chosen on."""
    trained: list[Example]
    """For the commonest label only."""


def gather(task: Task, source: Source, shape: HeadShape, split: str, selection: float, data: Path) -> Rows:
    """The rows of `task` as `source` reads them, with the targets of a head of `shape`.

    Raises:
        ValueError: the file cannot be read, a label is not one of the head's, or no row is left.
    """
    examples = read_examples([source], data, shape.levels, selection, {source.head: shape})
    part = divided(examples)
    trained, held_out = part[Division.TRAIN], part[Division.SELECTION]
    reported = part[Division.VALIDATION] if split == "val" else trained
    if task.unseen:
        reported = unseen(reported, trained + held_out)
    if not reported:
        raise ValueError(f"{task.name}: no row of the split {split} is left to measure")
    return Rows(reported, held_out, trained)


def unseen(examples: Sequence[Example], known: Sequence[Example]) -> list[Example]:
    """Of `examples` those whose text is none of the texts of `known`, whatever its case and spaces."""
    texts = {_plain(one) for one in known}
    return [one for one in examples if _plain(one) not in texts]


def _plain(example: Example) -> str:
    return " ".join(example_text(example).casefold().split())
