"""The labelled rows of a training run, divided, and what the network is taught of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import HeadSettings, Training
from capitoline.modalities.networks.heads import class_weights
from capitoline.modalities.networks.losses import UNKNOWN
from capitoline.modalities.networks.ordinal import ONE_AXIS, HeadShape
from capitoline.pipelines.training.dataset import Division, Example, divided, read_examples, targets_of


@dataclass(frozen=True, slots=True)
class Rows:
    """The examples of a run, divided."""

    train: list[Example]
    selection: list[Example]
    """To choose the epoch and the temperatures on."""
    validation: list[Example]
    """To report on."""
    blends: list[Example] = field(default_factory=list)
    """Without labels, for teachers to answer."""

    @property
    def taught(self) -> list[Example]:
        """What the steps learn from."""
        return [*self.train, *self.blends]

    @property
    def all(self) -> list[Example]:
        return [*self.taught, *self.selection, *self.validation]


def read_rows(settings: Training, data: Path) -> Rows:
    """Read and divide the rows of `settings.sources`, under `data`.

    Raises:
        ValueError: a file cannot be read, or a division has no rows.
    """
    examples = read_examples(settings.sources, data, settings.labels, settings.selection, head_shapes_of(settings))
    part = divided(examples)
    rows = Rows(part[Division.TRAIN], part[Division.SELECTION], part[Division.VALIDATION])
    if not (rows.train and rows.selection and rows.validation):
        raise ValueError("training needs labelled rows of the splits train and val, and a share held out of train")
    return rows


def head_shapes_of(settings: Training) -> dict[str, HeadShape]:
    """Every head that a source teaches, by name."""
    names = sorted({source.head for source in settings.sources})
    given = {name: settings.heads.get(name, HeadSettings(loss=settings.loss)) for name in names}
    return {
        name: HeadShape(
            one.levels or settings.labels, one.axes or ONE_AXIS, one.loss, one.down_cost or settings.down_cost
        )
        for name, one in given.items()
    }


def head_weights_of(settings: Training) -> dict[str, float]:
    """What the loss of every head that a source teaches counts."""
    names = {source.head for source in settings.sources}
    return {name: settings.heads.get(name, HeadSettings()).weight for name in names}


@dataclass(frozen=True, slots=True)
class Targets:
    """What N examples teach which head. Legend: A = most axes of any head."""

    heads: dict[str, int]
    """Head → its number of axes, in the order of `head_of`."""
    head_of: npt.NDArray[np.int64]
    """(N,)."""
    severities: npt.NDArray[np.int64]
    """(N, A); -1 is unknown, or no axis of that head."""
    weights: npt.NDArray[np.float32]
    """(N, A); 0 where the severity is unknown."""

    def by_head(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """Of each head that some of `rows` teach, the places of those among `rows`."""
        head_of = self.head_of[rows]
        for number, name in enumerate(self.heads):
            places = np.flatnonzero(head_of == number)
            if len(places):
                yield name, places


def targets(examples: Sequence[Example], shapes: Mapping[str, HeadShape], balance: float) -> Targets:
    """Severities and weights of `examples`, rare levels of each axis lifted by `balance`."""
    heads = {name: len(shape.axes) for name, shape in shapes.items()}
    numbers = {name: number for number, name in enumerate(heads)}
    head_of = np.array([numbers[one.source.head] for one in examples], np.int64)
    severities = np.full((len(examples), max(heads.values())), UNKNOWN, np.int64)
    weights = np.zeros(severities.shape, np.float32)
    for name, of_head in by_head(examples).items():
        rows, known = np.flatnonzero(head_of == numbers[name]), targets_of(of_head)
        of_source = np.array([one.source.weight for one in of_head], np.float32)
        for axis in range(heads[name]):
            of_level = class_weights(known[:, axis], len(shapes[name].levels), balance)
            severities[rows, axis] = known[:, axis]
            weights[rows, axis] = np.where(known[:, axis] == UNKNOWN, 0.0, of_level[known[:, axis]]) * of_source
    return Targets(heads, head_of, severities, weights)


def by_head(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """The examples of each head."""
    heads = sorted({one.source.head for one in examples})
    return {head: [one for one in examples if one.source.head == head] for head in heads}
