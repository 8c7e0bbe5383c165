"""The image expert: patch tokens of a frozen vision encoder through RWKV-7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from capitoline.modalities.networks.rated import rated
from capitoline.modalities.schema import Decoded, Evidence, Frame, Modality, Span
from capitoline.modalities.shielded import shielded

if TYPE_CHECKING:
    from capitoline.modalities.networks.rater import Ratings, SequenceRater
    from capitoline.modalities.vision.encoder import ImageEncoder

HEAD = "image"

LEAST = 16
"""Pixels of the shorter side below which a person should look: the encoder sees such a picture as one colour."""


class Image:
    """Rates every frame of an animation, and lets the most severe speak for the picture.

    Args:
        rater: weights of kind `image`.
        encoder: the encoder that those weights were trained on.

    Raises:
        ValueError: the weights were trained on another encoder, or on other tokens of it.
    """

    modality: Modality | None = Modality.IMAGE

    def __init__(self, rater: SequenceRater, encoder: ImageEncoder, name: str = "image") -> None:
        expected = rater.metadata["encoder_sha256"]
        if encoder.digest != expected:
            raise ValueError(
                f"the image weights were trained on the encoder {rater.metadata['encoder']} with sha256 "
                f"{expected[:12]}…, and this one has {encoder.digest[:12]}…; use that one, or train weights for this"
            )
        rater.check_width(encoder.width)
        self.name = name
        self.labels = rater.labels
        self._rater = rater
        self._encoder = encoder

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order; the spans are the frames of an animation."""
        return shielded(self, self._rate, items, _has_pictures, [Modality.IMAGE])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        frames = [frame for item in items for frame in item.pictures]
        owners = [owner for owner, item in enumerate(items) for _ in item.pictures]
        of_frames = self._rater(list(self._encoder([frame.pixels for frame in frames])), HEAD)
        of_items = of_frames.worst_of(owners, len(items))
        of_all = iter(_spans(frames, of_frames))
        shown = [[next(of_all) for _ in item.pictures] for item in items]
        return [
            rated(self, of_items, row, _reservation(item.pictures), spans if len(spans) > 1 else ())
            for row, (item, spans) in enumerate(zip(items, shown, strict=True))
        ]


def _reservation(frames: Sequence[Frame]) -> str:
    height, width, _ = min((frame.pixels.shape for frame in frames), key=lambda shape: min(shape[:2]))
    return f"{width} × {height} pixels are too few to show much" if min(height, width) < LEAST else ""


def _spans(frames: Sequence[Frame], ratings: Ratings) -> list[Span]:
    return [
        Span(frame.seconds, frame.seconds, probabilities=tuple(probabilities))
        for frame, probabilities in zip(frames, ratings.probabilities.tolist(), strict=True)
    ]


def _has_pictures(item: Decoded) -> bool:
    return bool(item.pictures)


def load_image(weights: str, encoder_file: str = "", name: str = "image") -> Image:
    """The expert on shipped weights or on a file, with the encoder that they name.

    Raises:
        ValueError: weights or encoder cannot be found, or do not fit each other.
    """
    from capitoline.modalities.networks.rater import SequenceRater
    from capitoline.modalities.vision.encoder import ImageEncoder
    from capitoline.modalities.weights import find_weights

    rater = SequenceRater(find_weights(weights), "image")
    return Image(rater, ImageEncoder(rater.metadata["encoder"], encoder_file), name)
