"""The OCR expert: what is written in a picture, through the text expert's trunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from capitoline.modalities.found_text import FoundText, RateTexts, rate_found
from capitoline.modalities.schema import Decoded, Evidence, Frame, Modality, Outcome, Span
from capitoline.modalities.shielded import shielded
from capitoline.modalities.vision.lettering import Reader

MOST_FRAMES = 8
"""Of an animation, that are read."""

GRID = 32
"""Cells a side in which two frames of an animation are compared."""

SAME = 16.0
"""Grey levels of 255 by which no cell may differ for two frames to be one picture. A new caption
changes few cells, but those a lot."""


class PictureText:
    """Rates the text in a picture, or in the frames of an animation; abstains on too few words.

    It can raise alarm and not reassure: mild words in a picture say nothing about the picture. On
    2,121 film posters its mildest ballots agreed with the true rating no better than chance, and
    three quarters of them were too mild.

    Args:
        reader: picture to lines of text.
        rate_texts: a `TextRater`, on the labels of its own weights.
        minimum_words: fewer are not evidence.
    """

    modality: Modality | None = Modality.IMAGE

    def __init__(self, reader: Reader, rate_texts: RateTexts, minimum_words: int = 3, name: str = "ocr") -> None:
        self.name = name
        self._reader = reader
        self._rate_texts = rate_texts
        self._minimum_words = minimum_words

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order; its spans are the lines of text."""
        return shielded(self, self._rate, items, lambda item: bool(item.pictures), [Modality.IMAGE])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        found = [self._read(distinct(item.pictures)[:MOST_FRAMES]) for item in items]
        return [alarm_only(one) for one in rate_found(self, found, self._rate_texts, self._minimum_words)]

    def _read(self, frames: Sequence[Frame]) -> FoundText:
        """The lines of all frames, each line once."""
        seen: dict[str, Span] = {}
        for frame in frames:
            for line in self._reader(frame.pixels):
                seen.setdefault(line, Span(frame.seconds, frame.seconds, line))
        return FoundText(tuple(seen.values()), "" if seen else "no text in the picture")


def alarm_only(evidence: Evidence) -> Evidence:
    """Evidence of the mildest severity as an abstention; any other as it is."""
    if evidence.severity != 0:
        return evidence
    reason = "its words are mild, which does not make the picture so"
    return replace(evidence, outcome=Outcome.ABSTAINED, severity=None, reason=reason)


def distinct(frames: Sequence[Frame]) -> list[Frame]:
    """The frames without those that look like an earlier one."""
    kept: list[tuple[Frame, npt.NDArray[np.float32]]] = []
    for frame in frames:
        cells = _cells(frame.pixels)
        if all(np.abs(cells - other).max() > SAME for _, other in kept):
            kept.append((frame, cells))
    return [frame for frame, _ in kept]


def _cells(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(GRID, GRID, 3) mean colours."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((GRID, GRID), Image.Resampling.BOX), np.float32)
