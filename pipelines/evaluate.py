"""How good weights are on labelled rows, rated exactly as the experts rate, beside floors and targets.

    results = evaluate(Path("configs/eval/text.yaml"), Path("../shared/data"))

Weights of any family that `capitoline train` knows can stand in for those that the YAML names, so
that a baseline is measured by the same program on the same rows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from capitoline.configs.evaluation import Evaluation, Task
from capitoline.configs.training import Source, load_configuration
from capitoline.modalities.networks.ordinal import HeadShape, decide
from capitoline.modalities.weights import find_weights
from capitoline.pipelines.evaluation.axes import Judged, measure_axes
from capitoline.pipelines.evaluation.calibration import reliability
from capitoline.pipelines.evaluation.intervals import intervals
from capitoline.pipelines.evaluation.metrics import measure
from capitoline.pipelines.evaluation.page import page
from capitoline.pipelines.evaluation.raters import ExampleRater, family_of, open_rater
from capitoline.pipelines.evaluation.result import Ordered, Result
from capitoline.pipelines.evaluation.rows import Rows, gather
from capitoline.pipelines.evaluation.table import markdown
from capitoline.pipelines.training.dataset import Example, targets_of

__all__ = ["evaluate", "open_rater", "write_results"]


def evaluate(config_path: Path, data: Path, weights: str = "") -> list[Result]:
    """Rate the rows that `config_path` names, under `data`, with its weights or with `weights` in their place.

    Raises:
        ValueError: the configuration, the weights or the data cannot be read.
    """
    settings = load_configuration(config_path, Evaluation)
    path = find_weights(weights or settings.weights)
    rater = open_rater(settings.kind, path, data)
    named = Result("", path.stem, family_of(path), settings.tasks[0].floor, settings.tasks[0].target)
    return [_evaluate_task(task, settings, rater, data, _named(named, task)) for task in settings.tasks]


def write_results(out: Path, results: Sequence[Result]) -> None:
    """Write `figures.json`, `table.md` and `evaluation.html` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    found = [one.as_json() for one in results]
    (out / "figures.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(results), encoding="utf-8")
    (out / "evaluation.html").write_text(page(results), encoding="utf-8", newline="\n")


def _named(empty: Result, task: Task) -> Result:
    return replace(empty, task=task.name, floor=task.floor, target=task.target)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A task's rows and what the head, or several heads together, say of them."""

    rows: Rows
    reported: Judged
    held_out: Judged
    seconds: float
    """CPU seconds that the reported rows took."""


def _evaluate_task(task: Task, settings: Evaluation, rater: ExampleRater, data: Path, named: Result) -> Result:
    sources = (task.source, *task.beside)
    missing = sorted({one.head for one in sources} - rater.heads.keys())
    if missing:
        return replace(named, note=f"no head {', '.join(missing)}")
    shape = rater.heads[task.source.head]
    asked = _ask(task, sources, shape, settings, rater, data)
    counted = replace(named, count=len(asked.reported.truth), documents_a_second=_speed(asked))
    if shape.is_one_axis:
        return replace(counted, ordered=_ordered(asked, shape))
    return replace(counted, axes=measure_axes(asked.reported, asked.held_out, shape.axes))


def _ask(
    task: Task, sources: Sequence[Source], shape: HeadShape, settings: Evaluation, rater: ExampleRater, data: Path
) -> _Asked:
    readings = [gather(task, one, shape, settings.split, settings.selection, data) for one in sources]
    began = time.process_time()
    reported = _judge([one.reported for one in readings], shape, rater, task.channels)
    seconds = time.process_time() - began
    # Thresholds belong to heads of several axes; asking the others would cost time for nothing.
    held_out = reported if shape.is_one_axis else _judge([one.held_out for one in readings], shape, rater)
    return _Asked(readings[0], reported, held_out, seconds)


def _judge(
    readings: Sequence[Sequence[Example]], shape: HeadShape, rater: ExampleRater, channels: Sequence[str] = ()
) -> Judged:
    """What the heads say of the same rows in several readings: the mean of their probabilities decides."""
    truth = targets_of(readings[0]).reshape(-1, len(shape.axes))
    if not len(truth):
        return Judged(truth, np.zeros((*truth.shape, len(shape.levels)), np.float32), truth)
    ratings = [rater(one, channels) for one in readings]
    probabilities = np.mean([one.probabilities for one in ratings], axis=0).reshape(*truth.shape, len(shape.levels))
    alone = ratings[0].severities.reshape(truth.shape)
    return Judged(truth, probabilities, alone if len(ratings) == 1 else decide(probabilities, shape.down_cost))


def _ordered(asked: _Asked, shape: HeadShape) -> Ordered:
    truth, predicted = asked.reported.truth[:, 0], asked.reported.severities[:, 0]
    probabilities, count = asked.reported.probabilities[:, 0], len(shape.levels)
    commonest = int(np.bincount(targets_of(asked.rows.trained)[:, 0]).argmax())
    return Ordered(
        labels=shape.levels,
        figures=measure(truth, predicted, count, probabilities),
        intervals=intervals(truth, predicted, count, [one.group for one in asked.rows.reported]),
        bins=reliability(probabilities, truth),
        majority=measure(truth, np.full_like(truth, commonest), count),
    )


def _speed(asked: _Asked) -> float:
    return len(asked.reported.truth) / asked.seconds if asked.seconds else float("nan")
