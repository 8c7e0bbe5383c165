"""How good a weight file is on labelled rows, rated exactly as the experts rate, beside the floors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.table import Table

from capitoline.configs.training import Evaluation, Floor, Kind, Task, load_configuration
from capitoline.modalities.frames import CHANNELS, SEEN_HERE, frame_vectors, spread
from capitoline.modalities.rater import Ratings, SequenceRater
from capitoline.modalities.trunk import TextRater
from capitoline.modalities.weights import find_weights
from capitoline.pipelines.evaluation.metrics import Figures, measure
from capitoline.pipelines.training.dataset import Division, Example, read_examples, severities_of
from capitoline.pipelines.training.inputs import encoded_pictures, example_text, frame_scores


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
    rate = open_rater(settings.kind, find_weights(settings.weights), data)
    return [_evaluate_task(task, settings, rate, data) for task in settings.tasks]


def _evaluate_task(task: Task, settings: Evaluation, rate: ExampleRater, data: Path) -> Result:
    examples = read_examples([task.source], data, rate.labels)
    chosen = [one for one in examples if one.division == settings.split]
    truth, count = severities_of(chosen), len(rate.labels)
    ratings = rate(chosen, task.channels)
    figures = measure(truth, ratings.severities, count, ratings.probabilities)
    commonest = int(np.bincount(severities_of([one for one in examples if one.division is Division.TRAIN])).argmax())
    return Result(task.name, figures, measure(truth, np.full_like(truth, commonest), count), task.floor)


class ExampleRater(Protocol):
    """Rates labelled examples of one head as the expert would rate the items they come from."""

    labels: tuple[str, ...]

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings: ...


class TextExamples:
    """Texts and tags, whole, in windows."""

    def __init__(self, path: Path, data: Path) -> None:
        self._rater = TextRater(path)
        self.labels = self._rater.labels

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        return self._rater([example_text(one) for one in examples], examples[0].source.head)


class ImageExamples:
    """Pictures out of their archives, through the encoder that the weights name."""

    def __init__(self, path: Path, data: Path) -> None:
        from capitoline.modalities.encoder import ImageEncoder

        self._rater, self._data = SequenceRater(path, "image"), data
        self._encoder = ImageEncoder(self._rater.metadata["encoder"])
        self.labels = self._rater.labels

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        tokens = encoded_pictures(self._encoder, examples, self._data)
        return self._rater(list(tokens), examples[0].source.head)


class VideoExamples:
    """Frame scores of clips, those of `channels` known, or of what pixels give here if none is named."""

    def __init__(self, path: Path, data: Path) -> None:
        self._rater, self._data = SequenceRater(path, "video"), data
        self.labels = self._rater.labels

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        known = np.array([channel in channels for channel in CHANNELS]) if channels else SEEN_HERE
        window: int = self._rater.metadata["window"]
        clips = frame_scores(examples, self._data)
        vectors = [frame_vectors(one[spread(len(one), window)], known) for one in clips]
        return self._rater(vectors, examples[0].source.head)


RATERS: dict[str, Callable[[Path, Path], ExampleRater]] = {
    "text": TextExamples,
    "image": ImageExamples,
    "video": VideoExamples,
}


def open_rater(kind: Kind, path: Path, data: Path) -> ExampleRater:
    """What rates examples of data under `data` with the weights at `path`."""
    return RATERS[kind](path, data)


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
