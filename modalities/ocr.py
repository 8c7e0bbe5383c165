"""The OCR expert: what is written in a picture, through the text expert's trunk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.found_text import FoundText, RateTexts, rate_found
from capitoline.modalities.schema import Decoded, Evidence, Frame, Modality, Span
from capitoline.modalities.shielded import shielded
from capitoline.modalities.weights import sha256

LONGER_SIDE = 480
"""Pixels of a picture in which text is looked for; at twice that, recall is the same at three times the cost."""

CONFIDENCE = 0.5
"""Mean probability of a line's characters, below which RapidOCR itself drops it."""

MOST_FRAMES = 8
"""Of an animation, that are read."""

GRID = 32
"""Cells a side in which two frames of an animation are compared."""

SAME = 16.0
"""Grey levels of 255 by which no cell may differ for two frames to be one picture. A new caption
changes few cells, but those a lot."""


class Reader:
    """RapidOCR's detector and recogniser, with the models of its wheel, on one thread."""

    def __init__(self, confidence: float = CONFIDENCE) -> None:
        import rapidocr

        self._engine = rapidocr.RapidOCR(
            params={
                "Global.use_cls": False,  # letters upside down are rare, and turning costs half again
                "Global.text_score": confidence,
                "Global.log_level": "critical",
                "Det.limit_side_len": LONGER_SIDE,
                "Det.limit_type": "max",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        self(np.full((64, 256, 3), 255, np.uint8))  # loads the detector, which it would else do at the first call
        models = sorted((Path(rapidocr.__file__).parent / "models").glob("*.onnx"))
        self.digest = hashlib.sha256("".join(map(sha256, models)).encode()).hexdigest()
        """SHA-256 over those of the models."""

    def __call__(self, picture: npt.NDArray[np.uint8]) -> list[str]:
        """Lines of text in an (H, W, 3) picture, from the top to the bottom."""
        found: Any = self._engine(np.ascontiguousarray(picture[:, :, ::-1]))  # one of four types, by what it was told
        return [line.strip() for line in found.txts or () if line.strip()]


class PictureText:
    """Rates the text in a picture, or in the frames of an animation; abstains on too few words.

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
        return rate_found(self, found, self._rate_texts, self._minimum_words)

    def _read(self, frames: Sequence[Frame]) -> FoundText:
        """The lines of all frames, each line once."""
        seen: dict[str, Span] = {}
        for frame in frames:
            for line in self._reader(frame.pixels):
                seen.setdefault(line, Span(frame.seconds, frame.seconds, line))
        return FoundText(tuple(seen.values()), "" if seen else "no text in the picture")


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
