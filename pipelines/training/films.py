"""Clips that come as scores of their frames → the vectors that a video network is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Training
from capitoline.modalities.networks.frames import CHANNELS, WIDTH, frame_vectors, spread
from capitoline.pipelines.training.dataset import Example

Array = npt.NDArray[Any]


class VideoInputs:
    """Frame scores of films, as `frames.py` makes vectors of them."""

    vocabulary = 0
    vector = WIDTH

    def __init__(
        self, examples: Sequence[Example], settings: Training, data: Path, kept: Sequence[int] | None = None
    ) -> None:
        self._window, self._forget = settings.window, settings.forget
        self._scores = dict(zip((one.key for one in examples), frame_scores(examples, data), strict=True))

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Array:
        """(window, WIDTH) float32 over the whole film; in training often over less, some channels hidden."""
        scores = self._scores[example.key]
        known = np.ones(len(CHANNELS), bool)
        if draw is not None and example.stretch is None:
            scores = scores[some_stretch(len(scores), self._window, draw)]
        if draw is not None:
            known = hide_channels(draw, self._forget)
        return frame_vectors(scores[spread(len(scores), self._window)], known)

    def read_by(self, example: Example) -> tuple[str, int, tuple[int, int] | None]:
        return example.source.file, example.index, example.stretch

    def served(self, example: Example) -> list[Array]:
        return [self.sequence(example, None)]

    def reason(self, example: Example) -> Array | None:
        return None

    def metadata(self) -> dict[str, Any]:
        return {"window": self._window, "channels": list(CHANNELS)}

    def tensors(self) -> dict[str, Array]:
        return {}


def some_stretch(count: int, window: int, draw: np.random.Generator) -> slice:
    """Of `count` frames: half the time all, as an expert takes them; else `window` in a row, or eight or more."""
    kind = draw.random()
    if kind < 0.5:
        return slice(count)
    length = min(window, count) if kind < 0.75 else int(np.exp(draw.uniform(np.log(min(8, count)), np.log(count))))
    start = int(draw.integers(count - length + 1))
    return slice(start, start + length)


def hide_channels(draw: np.random.Generator, share: float) -> npt.NDArray[np.bool_]:
    """(channels,) known or not. Half the time only those that pixels give here, so that it learns to live on them."""
    known = draw.random(len(CHANNELS)) >= share
    known[:2] = True
    if draw.random() < 0.5:
        known[2:] = False
    return known


def frame_scores(examples: Sequence[Example], data: Path) -> list[npt.NDArray[np.float32]]:
    """Of each example's clip, or its stretch of one, the (frames, channels) scores."""
    archives = {one.source.archive for one in examples}
    arrays = {name: (loaded["frames"], loaded["offsets"]) for name in archives for loaded in [np.load(data / name)]}
    scores = []
    for example in examples:
        frames, offsets = arrays[example.source.archive]
        clip = frames[offsets[example.index] : offsets[example.index + 1]]
        scores.append(clip[slice(*example.stretch or (None,))].astype(np.float32))
    return scores
