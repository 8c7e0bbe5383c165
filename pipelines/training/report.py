"""Figures of a finished weight file on the validation rows, rated by that very file as it is served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capitoline.configs.training import Training
from capitoline.modalities.networks.losses import UNKNOWN
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.rater import Ratings, SequenceRater
from capitoline.pipelines.evaluation.metrics import Figures, measure
from capitoline.pipelines.training.dataset import Example, targets_of
from capitoline.pipelines.training.inputs import Inputs


def report(path: Path, settings: Training, examples: Sequence[Example], inputs: Inputs) -> dict[str, Figures]:
    """Figures of each source that has some of `examples`, and of each axis of its head."""
    figures: dict[str, Figures] = {}
    rater = SequenceRater(path, settings.kind)
    for source in settings.sources:
        own = [one for one in examples if one.source == source]
        if own:
            ratings = rate(rater, own, inputs)
            figures |= _of_axes(f"{source.file.split('.')[0]} ({source.head})", ratings, own, rater.heads[source.head])
    return figures


def rate(rater: SequenceRater, examples: Sequence[Example], inputs: Inputs) -> Ratings:
    """Ratings of `examples` of one head, the most severe part of each speaking for it."""
    parts = [inputs.served(one) for one in examples]
    owners = [owner for owner, part in enumerate(parts) for _ in part]
    ratings = rater([one for part in parts for one in part], examples[0].source.head)
    return ratings.worst_of(owners, len(examples))


def _of_axes(name: str, ratings: Ratings, examples: Sequence[Example], shape: HeadShape) -> dict[str, Figures]:
    truth, levels = targets_of(examples), len(shape.levels)
    severities = ratings.severities.reshape(truth.shape)
    probabilities = ratings.probabilities.reshape(*truth.shape, levels)
    figures = {}
    for axis, axis_name in enumerate(shape.axes):
        known = truth[:, axis] != UNKNOWN
        if known.any():
            title = f"{name} {axis_name}".strip()
            columns = truth[known, axis], severities[known, axis], levels, probabilities[known, axis]
            figures[title] = measure(*columns)
    return figures
