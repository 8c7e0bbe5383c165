"""How good a weight file is on labelled rows, rated exactly as the experts rate, beside the floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table

from capitoline.configs.training import Evaluation, Floor, Kind, Task, load_configuration
from capitoline.modalities.frames import CHANNELS, frame_vectors, spread
from capitoline.modalities.sequence import Ratings, SequenceRater
from capitoline.modalities.trunk import TextRater
from capitoline.modalities.weights import find_weights
from capitoline.pipelines.dataset import Division, Example, read_examples
from capitoline.pipelines.inputs import example_text, frame_scores, read_picture
from capitoline.pipelines.metrics import Figures, measure

PICTURES = 64
"""Pictures decoded at a time."""


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table."""

    task: str
    figures: Figures
    majority: Figures
    """Of always saying the label that is most frequent in the training rows."""
    floor: Floor


def evaluate(config_path: Path, data: Path) -> list[Result]:
    """Rate the rows that `config_path` names, under `data`.

    Raises:
        ValueError: the configuration, the weights or the data cannot be read.
    """
    settings = load_configuration(config_path, Evaluation)
    return [_evaluate_task(task, settings, data) for task in settings.tasks]


def _evaluate_task(task: Task, settings: Evaluation, data: Path) -> Result:
    path = find_weights(settings.weights)
    labels = _labels(settings.kind, path)
    examples = read_examples([task.source], data, labels)
    chosen = [one for one in examples if one.division == settings.split]
    truth = severities_of(chosen)
    ratings = rate_examples(settings.kind, path, chosen, data, task.channels or CHANNELS)
    figures = measure(truth, ratings.severities, len(labels), ratings.probabilities)
    commonest = int(np.bincount(severities_of([one for one in examples if one.division is Division.TRAIN])).argmax())
    return Result(task.name, figures, measure(truth, np.full_like(truth, commonest), len(labels)), task.floor)


def _labels(kind: Kind, path: Path) -> tuple[str, ...]:
    return SequenceRater(path, kind).labels


def rate_examples(
    kind: Kind, path: Path, examples: Sequence[Example], data: Path, channels: Sequence[str] = CHANNELS
) -> Ratings:
    """Ratings of examples of one source by the weights at `path`, as their expert would give them."""
    head = examples[0].source.head
    if kind == "text":
        return TextRater(path)([example_text(one) for one in examples], head)
    rater = SequenceRater(path, kind)
    if kind == "image":
        return rater(_patch_tokens(rater, examples, data), head)
    known = np.array([channel in channels for channel in CHANNELS])
    window = rater.metadata["window"]
    scores = frame_scores(examples, data)
    return rater([frame_vectors(one[spread(len(one), window)], known) for one in scores], head)


def _patch_tokens(rater: SequenceRater, examples: Sequence[Example], data: Path) -> list[npt.NDArray[np.float32]]:
    from capitoline.modalities.encoder import ImageEncoder

    encoder = ImageEncoder(rater.metadata["encoder"])
    tokens: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(examples), PICTURES):
        tokens.extend(encoder([read_picture(one, data) for one in examples[start : start + PICTURES]]))
    return tokens


def severities_of(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """(N,) true severities."""
    return np.array([one.severity for one in examples], np.int64)


def table_of(results: Sequence[Result]) -> Table:
    """For the terminal: ours, the most frequent label's, and the floor's where it is known."""
    table = Table(title="Validation rows; the floors are of rows kept apart")
    for heading in ("task", "items", "QWK", "floor", "macro-F1", "majority", "floor", "accuracy", "majority", "floor"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    table.add_column("down-class", justify="right")
    table.add_column("ECE", justify="right")
    for one in results:
        ours, majority, floor = one.figures, one.majority, one.floor
        table.add_row(
            one.task,
            str(ours.count),
            f"{ours.kappa:.3f}",
            _known(floor.kappa),
            f"{ours.macro_f1:.3f}",
            f"{majority.macro_f1:.3f}",
            _known(floor.macro_f1),
            f"{ours.accuracy:.3f}",
            f"{majority.accuracy:.3f}",
            _known(floor.accuracy),
            f"{ours.down_rate:.3f}",
            f"{ours.calibration_error:.3f}",
        )
    return table


def _known(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
