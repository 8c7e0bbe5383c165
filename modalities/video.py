"""The video expert: scores of a film's frames through RWKV-7, in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from capitoline.modalities.networks.frames import WIDTH, nsfw_vectors, spread
from capitoline.modalities.networks.rated import rated
from capitoline.modalities.schema import Decoded, Evidence, Frame, Modality, Span, Tag
from capitoline.modalities.shielded import shielded

if TYPE_CHECKING:
    from capitoline.modalities.networks.rater import SequenceRater
    from capitoline.modalities.tagging.tagger import OpenNsfw

HEAD = "video"

RESERVATION = "only nudity was looked for in the frames: gore and mood were not observed"

SHOWN = 3
"""Frames of the highest score that are given as evidence."""


class Video:
    """Sees p(nsfw) of the frames only, and says so with each rating; `frames.py` says why.

    Args:
        rater: weights of kind `video`.
        tagger: gives p(nsfw) of pictures.

    Raises:
        ValueError: the weights read other vectors than are made here.
    """

    modality: Modality | None = Modality.VIDEO

    def __init__(self, rater: SequenceRater, tagger: OpenNsfw, name: str = "video") -> None:
        rater.check_width(WIDTH)
        self.name = name
        self.labels = rater.labels
        self._rater = rater
        self._tagger = tagger
        self._window: int = rater.metadata["window"]

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order; the spans are the frames of the highest score."""
        return shielded(self, self._rate, items, _has_film, [Modality.VIDEO])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        pixels = [frame.pixels for item in items for frame in item.film]
        ends = np.cumsum([len(item.film) for item in items])[:-1]
        scores = np.split(self._tagger(pixels)[:, 0], ends)
        sequences = [nsfw_vectors(one[spread(len(one), self._window)]) for one in scores]
        ratings = self._rater(sequences, HEAD)
        return [
            rated(self, ratings, row, RESERVATION, _strongest(item.film, one), [Tag("nsfw", float(one.max()))])
            for row, (item, one) in enumerate(zip(items, scores, strict=True))
        ]


def _strongest(film: Sequence[Frame], scores: npt.NDArray[np.float32]) -> list[Span]:
    """The frames of the highest score, in order of time."""
    chosen = sorted(np.argsort(-scores, kind="stable")[:SHOWN])
    return [Span(film[one].seconds, film[one].seconds, f"nsfw {scores[one]:.2f}") for one in chosen]


def _has_film(item: Decoded) -> bool:
    return bool(item.film)


def load_video(weights: str, name: str = "video") -> Video:
    """The expert on shipped weights or on a file.

    Raises:
        ValueError: the weights or the tagger cannot be found.
    """
    from capitoline.modalities.networks.rater import SequenceRater
    from capitoline.modalities.tagging.tagger import OpenNsfw
    from capitoline.modalities.weights import find_weights

    return Video(SequenceRater(find_weights(weights), "video"), OpenNsfw(), name)
