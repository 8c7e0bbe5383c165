"""Taggers: networks that turn pictures into tags with scores, run by onnxruntime.

Legend for shapes:  B = pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from capitoline.modalities.sessions import open_session
from capitoline.modalities.wheels import NUDENET, OPEN_NSFW, require_wheel

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) RGB of any size."""

BATCH = 8
"""Pictures in one run of a session."""

NUDENET_CLASSES = (
    "female genitalia covered",
    "face female",
    "buttocks exposed",
    "female breast exposed",
    "female genitalia exposed",
    "male breast exposed",
    "anus exposed",
    "feet exposed",
    "belly covered",
    "feet covered",
    "armpits covered",
    "armpits exposed",
    "face male",
    "belly exposed",
    "male genitalia exposed",
    "anus covered",
    "female breast covered",
    "buttocks covered",
)
"""In the order of the network's outputs."""


class Tagger(Protocol):
    @property
    def names(self) -> tuple[str, ...]:
        """Its tags, in the order of the scores."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of its weights."""
        ...

    def __call__(self, pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """(B, len(names)) scores in 0 … 1."""
        ...


class OpenNsfw:
    """Yahoo's open_nsfw, a thin ResNet-50: the probability that a picture is pornographic.

    Raises:
        ValueError: its wheel is not installed.
    """

    names: tuple[str, ...] = ("nsfw",)
    digest = OPEN_NSFW.sha256
    mean = np.array([104, 117, 123], np.float32)
    """Of its training pictures, in the network's order: blue, green, red."""

    def __init__(self) -> None:
        self._session = open_session(require_wheel(OPEN_NSFW))
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """(B, 1) probabilities."""
        return in_batches(self._scores, pictures, len(self.names))

    def _scores(self, pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
        inputs = np.stack([self._prepared(picture) for picture in pictures])
        return np.asarray(self._session.run(None, {self._input: inputs})[0], np.float32)[:, 1:]

    def _prepared(self, picture: Picture) -> npt.NDArray[np.float32]:
        """(224, 224, 3): the network was trained on squeezed pictures less a margin of 16 in 256."""
        return resized(picture, 256, 256)[16:240, 16:240, ::-1].astype(np.float32) - self.mean


class NudeNet:
    """NudeNet's YOLOv8n: how surely each of 18 parts of a body is somewhere in a picture.

    Its weights are AGPL and come by the extra `nudenet` only.

    Raises:
        ValueError: its wheel is not installed.
    """

    names: tuple[str, ...] = NUDENET_CLASSES
    digest = NUDENET.sha256
    side = 320

    def __init__(self) -> None:
        self._session = open_session(require_wheel(NUDENET))

    def __call__(self, pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
        """(B, 18): of each class, its best score over all places."""
        return in_batches(self._scores, pictures, len(self.names))

    def _scores(self, pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
        inputs = np.stack([self._prepared(picture) for picture in pictures]).transpose(0, 3, 1, 2)
        found = self._session.run(None, {"images": inputs.astype(np.float32) / 255})[0]
        best: npt.NDArray[np.float32] = np.asarray(found)[:, 4:, :].max(axis=2)  # rows 0 … 3 are the boxes
        return best

    def _prepared(self, picture: Picture) -> Picture:
        """(320, 320, 3): the whole picture in its own proportions at the top left, the rest black."""
        height, width = picture.shape[:2]
        scale = self.side / max(height, width)
        shrunk = resized(picture, max(1, round(height * scale)), max(1, round(width * scale)))
        square = np.zeros((self.side, self.side, 3), np.uint8)
        square[: shrunk.shape[0], : shrunk.shape[1]] = shrunk
        return square


TAGGERS: dict[str, Callable[[], Tagger]] = {"opennsfw": OpenNsfw, "nudenet": NudeNet}


def in_batches(
    score: Callable[[Sequence[Picture]], npt.NDArray[np.float32]], pictures: Sequence[Picture], width: int
) -> npt.NDArray[np.float32]:
    """(B, width) scores, computed `BATCH` pictures at a time."""
    parts = [score(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH)]
    return np.concatenate([np.zeros((0, width), np.float32), *parts])


def resized(picture: Picture, height: int, width: int) -> Picture:
    """The picture in another size, bilinear and without aliasing."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR), np.uint8)
