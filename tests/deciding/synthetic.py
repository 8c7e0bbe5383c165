"""A *synthetic* pairing: windows of emotionlib clips with texts of the same rating, from PG to XXX.

Nobody ever saw these as one item. They exercise every label and contradictions between the
parts; no figure on them is a figure of quality.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from capitoline.configs.settings import Settings, TextExpert
from capitoline.configs.training import Source
from capitoline.modalities.feature_set import ExpertFeatures, FeatureSet
from capitoline.modalities.networks.frames import CHANNELS, frame_vectors
from capitoline.modalities.networks.rater import SequenceRater
from capitoline.modalities.schema import Decoded, Item
from capitoline.modalities.weights import find_weights
from capitoline.pipelines.experts import build_expert
from capitoline.pipelines.training.dataset import Division, Example, read_examples
from tests.deciding.arrays import expert
from tests.deciding.conftest import as_arrays

LABELS = Settings().scale
EACH = 24
"""Pairs of every rating; where there are fewer clips or texts, some come again."""

WINDOW = 16
CLIPS = Source(file="emotionlib_video.jsonl.gz", head="video", group="id")
TEXTS = (Source(file="t2v_safetybench.jsonl.gz"), Source(file="posters_mm.jsonl.gz"))


def synthetic_pairs(data: Path) -> FeatureSet:
    """What the shipped video and text experts say of validation rows, paired by their rating."""
    truth = np.repeat(np.arange(len(LABELS)), EACH)
    clips, texts = _of_each_rating(_validation([CLIPS], data)), _of_each_rating(_validation(TEXTS, data))
    items = np.array([f"synthetic-{row}" for row in range(len(truth))])
    experts = (_heard(texts), _seen(clips, data))
    return FeatureSet(LABELS, items, truth, np.full(len(items), "synthetic"), items, experts)


def contradicted(pairs: FeatureSet, film: int, caption: int) -> FeatureSet:
    """Films of severity `film` with captions of severity `caption`."""
    films, captions = np.flatnonzero(pairs.truth == film), np.flatnonzero(pairs.truth == caption)
    text, video = pairs.experts
    same = pairs.at(films)
    return FeatureSet(LABELS, same.items, same.truth, same.splits, same.groups, (text.at(captions), video.at(films)))


def _validation(sources: tuple[Source, ...] | list[Source], data: Path) -> list[Example]:
    return [one for one in read_examples(sources, data, LABELS) if one.division is Division.VALIDATION]


def _of_each_rating(examples: list[Example]) -> list[Example]:
    held = [[one for one in examples if one.severity == severity] for severity in range(len(LABELS))]
    return [some[place % len(some)] for some in held for place in range(EACH)]


def _heard(texts: list[Example]) -> ExpertFeatures:
    items = [Decoded(item=Item(one.id), digest="", text=str(one.row["text"])) for one in texts]
    return as_arrays("text", build_expert(TextExpert(), Settings())(items), "")


def _seen(clips: list[Example], data: Path) -> ExpertFeatures:
    """By all five scores of a frame, as no served expert sees them."""
    with np.load(data / "emotionlib_video.npz") as archive:
        frames, offsets = archive["frames"], archive["offsets"]
    windows = [_window(frames, offsets[one.index], offsets[one.index + 1]) for one in clips]
    ratings = SequenceRater(find_weights("video"), "video")(windows, "video")
    return expert("video", ratings.probabilities, features=ratings.features)


def _window(frames: npt.NDArray[np.float16], start: int, end: int) -> npt.NDArray[np.float32]:
    middle = max(start, (start + end - WINDOW) // 2)
    scores = frames[middle : min(end, middle + WINDOW)].astype(np.float32)
    return frame_vectors(scores, np.ones(len(CHANNELS), np.bool_))
