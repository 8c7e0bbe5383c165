"""Lettering in a picture: PP-OCR's detector and recogniser from RapidOCR's wheel, run by onnxruntime.

RapidOCR reads the same lines, and tests compare with it; but its import takes 0.7 s, most of
that for the settings of engines that are not used here.

Legend:  H, W = pixels, L = lines, S = steps along a line, V = characters.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.modalities.sessions import open_session
from capitoline.modalities.weights import sha256

Picture = npt.NDArray[np.uint8]
Corners = npt.NDArray[np.float32]
"""(4, 2) x and y of a line's corners: top left, top right, bottom right, bottom left."""

LONGER_SIDE = 480
"""Pixels of a picture in which text is looked for; at twice that, recall is the same at three times the cost."""

STRIDE = 32
"""Pixels that the detector's sides must be multiples of."""

PIXEL, BOX, LINE = 0.3, 0.5, 0.5
"""Least probability of a pixel to be text, mean of a box, and mean of a line's characters: RapidOCR's own."""

GROWTH = 1.6
"""By how much of its area ÷ perimeter a box is pushed out: the detector finds shrunken ones (arXiv:1911.08947)."""

LOW, FLAT = 30, 8
"""Pixels of height up to which, and width ÷ height from which a picture is padded, that its text does not vanish."""

SAME_LINE = 10
"""Pixels between the tops of two boxes from which they are lines of their own."""

HEIGHT, WIDTH = 48, 320
"""Pixels of a line that the recogniser gets, and the least width."""

BATCH = 6


class Reader:
    """Lines of text in an (H, W, 3) RGB picture, from the top to the bottom.

    Args:
        confidence: mean probability of a line's characters, below which it is dropped.

    Raises:
        ValueError: RapidOCR's models are not where its wheel puts them.
    """

    def __init__(self, confidence: float = LINE) -> None:
        detector, recogniser = _model("det"), _model("rec")
        self._detector, self._recogniser = Detector(detector), Recogniser(recogniser)
        self._confidence = confidence
        self.digest = hashlib.sha256("".join(map(sha256, (detector, recogniser))).encode()).hexdigest()
        """SHA-256 over those of the models."""

    def __call__(self, picture: Picture) -> list[str]:
        picture = padded(np.ascontiguousarray(picture[:, :, ::-1]))  # the models were trained on BGR
        crops = [straightened(picture, corners) for corners in in_order(self._detector(picture))]
        lines = self._recogniser(crops)
        return [text.strip() for text, confidence in lines if confidence >= self._confidence and text.strip()]


def _model(task: str) -> Path:
    found = find_spec("rapidocr")
    folder = Path(found.origin).parent / "models" if found and found.origin else Path()
    models = sorted(folder.glob(f"PP-OCR*_{task}_*.onnx"))
    if len(models) != 1:
        raise ValueError(f"there is not one {task} model in {folder} but {len(models)}: reinstall rapidocr")
    return models[0]


def padded(picture: Picture) -> Picture:
    """With black above and below, if it is low or flat."""
    import cv2

    height, width = picture.shape[:2]
    if height > LOW and width <= FLAT * height:
        return picture
    margin = (2 * max(width // FLAT, LOW) - height) // 2
    return np.asarray(cv2.copyMakeBorder(picture, margin, margin, 0, 0, cv2.BORDER_CONSTANT), np.uint8)


class Detector:
    """Finds lines by differentiable binarisation (arXiv:1911.08947)."""

    def __init__(self, model: Path) -> None:
        self._session = open_session(model)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, picture: Picture) -> list[Corners]:
        import cv2

        height, width = picture.shape[:2]
        scale = min(1.0, LONGER_SIDE / max(height, width))
        rows, columns = (STRIDE * round(int(side * scale) / STRIDE) for side in (height, width))
        if not rows or not columns:
            return []
        small = normalised(cv2.resize(picture, (columns, rows)))
        heat = np.asarray(self._session.run(None, {self._input: small[None]})[0], np.float32)[0, 0]
        mask = cv2.dilate((heat > PIXEL).astype(np.uint8), np.ones((2, 2), np.uint8))
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        boxes = [box * (width / columns, height / rows) for one in contours for box in _box(np.asarray(one), heat)]
        clipped = [clockwise(np.clip(np.round(box), 0, (width - 1, height - 1)).astype(np.float32)) for box in boxes]
        return [corners for corners in clipped if min(sides(corners)) > 3]


def _box(contour: npt.NDArray[Any], heat: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """The rectangle around a contour, grown to the whole line; none if it is too small or too faint."""
    import cv2
    import pyclipper

    rectangle = cv2.minAreaRect(contour)
    width, height = rectangle[1]
    if min(width, height) < 3:
        return
    corners = cv2.boxPoints(rectangle)
    inside = np.zeros(heat.shape, np.uint8)
    cv2.fillPoly(inside, [corners.astype(np.int32)], [1])
    if cv2.mean(heat, inside)[0] < BOX:
        return
    clipper: Any = pyclipper  # compiled, without types
    offset = clipper.PyclipperOffset()
    offset.AddPath(corners, clipper.JT_ROUND, clipper.ET_CLOSEDPOLYGON)
    grown = cv2.minAreaRect(np.array(offset.Execute(GROWTH * width * height / (2 * (width + height)))[0]))
    if min(grown[1]) >= 5:
        yield np.asarray(cv2.boxPoints(grown), np.float32)


def clockwise(box: Corners) -> Corners:
    """Corners in any order → from the top left."""
    by_x = box[np.argsort(box[:, 0], kind="stable")]
    (top_left, bottom_left), (top_right, bottom_right) = (pair[np.argsort(pair[:, 1])] for pair in (by_x[:2], by_x[2:]))
    return np.stack((top_left, top_right, bottom_right, bottom_left))


def sides(corners: Corners) -> tuple[int, int]:
    """Whole pixels along the longer of the two upper and lower, and of the two outer edges."""
    top_left, top_right, bottom_right, bottom_left = corners
    width = max(np.linalg.norm(top_left - top_right), np.linalg.norm(bottom_right - bottom_left))
    height = max(np.linalg.norm(top_left - bottom_left), np.linalg.norm(top_right - bottom_right))
    return int(width), int(height)


def in_order(boxes: Sequence[Corners]) -> list[Corners]:
    """From the top to the bottom; those of about the same height from left to right."""
    falling = sorted(boxes, key=lambda box: float(box[0, 1]))
    gaps = np.diff([box[0, 1] for box in falling], prepend=0.0)
    lines = np.cumsum(gaps >= SAME_LINE).tolist()
    ordered = sorted(zip(lines, falling, strict=True), key=lambda pair: (pair[0], float(pair[1][0, 0])))
    return [box for _, box in ordered]


def straightened(picture: Picture, corners: Corners) -> Picture:
    """A line cut out of the picture and laid level; one that stands upright is turned."""
    import cv2

    width, height = sides(corners)
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    transform = cv2.getPerspectiveTransform(corners, target)
    crop = cv2.warpPerspective(
        picture, transform, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(np.rot90(crop) if height >= 1.5 * width else crop, np.uint8)


class Recogniser:
    """Reads lines by connectionist temporal classification."""

    def __init__(self, model: Path) -> None:
        self._session = open_session(model)
        self._input = self._session.get_inputs()[0].name
        known = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *known, " "]  # the first is the blank between characters

    def __call__(self, crops: Sequence[Picture]) -> list[tuple[str, float]]:
        """L crops → texts with their mean probabilities. Those of about the same shape go together, to pad little."""
        shapes = [crop.shape[1] / crop.shape[0] for crop in crops]
        order = sorted(range(len(crops)), key=shapes.__getitem__)
        lines: dict[int, tuple[str, float]] = {}
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            lines |= zip(rows, self._read([crops[row] for row in rows]), strict=True)
        return [lines[row] for row in range(len(crops))]

    def _read(self, crops: Sequence[Picture]) -> Iterator[tuple[str, float]]:
        import cv2

        shapes = [crop.shape[1] / crop.shape[0] for crop in crops]
        widest = max(WIDTH, int(HEIGHT * max(shapes)))
        widths = [min(widest, math.ceil(HEIGHT * shape)) for shape in shapes]
        batch = np.zeros((len(crops), 3, HEIGHT, widest), np.float32)
        for crop, width, row in zip(crops, widths, batch, strict=True):
            row[:, :, :width] = normalised(cv2.resize(crop, (width, HEIGHT)))
        probabilities = np.asarray(self._session.run(None, {self._input: batch})[0])
        for best, highest in zip(probabilities.argmax(2), probabilities.max(2), strict=True):
            kept = (best != 0) & (np.diff(best, prepend=0) != 0)
            text = "".join(self._characters[one] for one in best[kept])
            yield text, float(highest[kept].mean()) if text else 0.0


def normalised(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """(H, W, 3) 0…255 → (3, H, W) -1…1."""
    return (np.asarray(picture, np.float32) / 127.5 - 1.0).transpose(2, 0, 1)
