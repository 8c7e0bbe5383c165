"""Weight files of every family, asked about labelled examples as the experts ask them about items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from capitoline.configs.training import Kind
from capitoline.modalities.networks.frames import CHANNELS, SEEN_HERE, WIDTH, frame_vectors, spread
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.rater import Ratings, SequenceRater
from capitoline.modalities.networks.trunk import TextRater
from capitoline.modalities.weights import read_metadata
from capitoline.pipelines.training.baselines.tfidf import TfidfExamples
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.films import frame_scores
from capitoline.pipelines.training.pictures import encoded_pictures
from capitoline.pipelines.training.texts import example_text

OURS = "rwkv"
"""The model family of weights whose metadata name none."""


class ExampleRater(Protocol):
    """Rates labelled examples of one head as the expert would rate the items they come from."""

    @property
    def heads(self) -> Mapping[str, HeadShape]: ...

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings: ...


class TextExamples:
    """Texts and tags, whole, in windows."""

    def __init__(self, path: Path, data: Path) -> None:
        self._rater = TextRater(path)
        self.heads = self._rater.shapes

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        return self._rater([example_text(one) for one in examples], examples[0].source.head)


class ImageExamples:
    """Pictures out of their archives, through the encoder that the weights name."""

    def __init__(self, path: Path, data: Path) -> None:
        from capitoline.modalities.vision.encoder import ImageEncoder

        self._rater, self._data = SequenceRater(path, "image"), data
        self._encoder = ImageEncoder(self._rater.metadata["encoder"])
        self._rater.check_width(self._encoder.width)
        self.heads = self._rater.heads

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        tokens = encoded_pictures(self._encoder, examples, self._data)
        return self._rater(list(tokens), examples[0].source.head)


class VideoExamples:
    """Frame scores of clips, those of `channels` known, or of what pixels give here if none is named."""

    def __init__(self, path: Path, data: Path) -> None:
        self._rater, self._data = SequenceRater(path, "video"), data
        self._rater.check_width(WIDTH)
        self.heads = self._rater.heads

    def __call__(self, examples: Sequence[Example], channels: Sequence[str] = ()) -> Ratings:
        known = np.array([channel in channels for channel in CHANNELS]) if channels else SEEN_HERE
        window: int = self._rater.metadata["window"]
        clips = frame_scores(examples, self._data)
        vectors = [frame_vectors(one[spread(len(one), window)], known) for one in clips]
        return self._rater(vectors, examples[0].source.head)


def _network(path: Path, data: Path) -> ExampleRater:
    from capitoline.pipelines.training.baselines.network import NetworkExamples

    return NetworkExamples(path)


RATERS: dict[str, Callable[[Path, Path], ExampleRater]] = {
    "text": TextExamples,
    "image": ImageExamples,
    "video": VideoExamples,
    "tfidf": TfidfExamples,
    "lstm": _network,
    "distilbert": _network,
    "roberta": _network,
    "minilm": _network,
    "hub": _network,
}
"""By the kind of our own weights, or by the family of a baseline's."""


def family_of(path: Path) -> str:
    """The model family that a weight file's metadata name: ours, or a baseline's."""
    return str(read_metadata(path).get("model", OURS))


def open_rater(kind: Kind, path: Path, data: Path) -> ExampleRater:
    """What rates examples of data under `data` with the weights at `path`.

    Raises:
        ValueError: the file cannot be read, or is of another kind.
    """
    family = family_of(path)
    return RATERS[kind if family == OURS else family.split(":")[0]](path, data)
