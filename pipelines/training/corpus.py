"""The labelled rows of a training run, divided, weighted and made into sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Training
from capitoline.modalities.heads import class_weights
from capitoline.pipelines.training.dataset import Division, Example, read_examples, severities_of
from capitoline.pipelines.training.inputs import INPUTS, Inputs


@dataclass(frozen=True, slots=True)
class Corpus:
    """The examples of a run, divided, with what turns them into sequences."""

    train: list[Example]
    selection: list[Example]
    validation: list[Example]
    inputs: Inputs
    weights: dict[str, npt.NDArray[np.float32]]
    """Head → (K,) weights of the labels."""


def gather(settings: Training, data: Path) -> Corpus:
    """Read and divide the rows of `settings.sources`, under `data`.

    Raises:
        ValueError: a file cannot be read, or a division has no rows.
    """
    examples = read_examples(settings.sources, data, settings.labels, settings.selection)
    part = {division: [one for one in examples if one.division is division] for division in Division}
    if not all(part.values()):
        raise ValueError("training needs labelled rows of the splits train and val, and a share held out of train")
    weights = {
        head: class_weights(severities_of(rows), len(settings.labels), settings.balance)
        for head, rows in by_head(part[Division.TRAIN]).items()
    }
    inputs = INPUTS[settings.kind](examples, settings, data)
    return Corpus(part[Division.TRAIN], part[Division.SELECTION], part[Division.VALIDATION], inputs, weights)


def by_head(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """The examples of each head."""
    return {head: [examples[row] for row in rows] for head, rows in rows_by_head(examples).items()}


def rows_by_head(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Positions among `examples` of those of each head."""
    heads = sorted({one.source.head for one in examples})
    return {head: [row for row, one in enumerate(examples) if one.source.head == head] for head in heads}
