"""Pictures → the patch tokens that an image network is trained on."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Training
from capitoline.pipelines.training.dataset import Example

if TYPE_CHECKING:
    from capitoline.modalities.vision.encoder import ImageEncoder

Array = npt.NDArray[Any]

PICTURES = 64
"""Pictures decoded at a time."""


class ImageInputs:
    """Patch tokens of pictures, computed once by the frozen encoder."""

    vocabulary = 0

    def __init__(
        self, examples: Sequence[Example], settings: Training, data: Path, kept: Sequence[int] | None = None
    ) -> None:
        from capitoline.modalities.vision.encoder import ImageEncoder

        self._encoder = ImageEncoder()
        self.vector = self._encoder.width
        self._forget = settings.forget
        # Several heads may learn from one picture, which is encoded once.
        different = {_picture(one): one for one in examples}
        tokens = encoded_pictures(self._encoder, list(different.values()), data)
        halves = dict(zip(different, (array.astype(np.float16) for array in tokens), strict=True))
        self._tokens = {one.key: halves[_picture(one)] for one in examples}

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Array:
        """(P, E) float32; in training half of the pictures mirrored, some patches dropped."""
        tokens: Array = self._tokens[example.key].astype(np.float32)
        if draw is None:
            return tokens
        if draw.random() < 0.5:
            tokens = mirrored(tokens)
        kept: Array = tokens[draw.random(len(tokens)) >= self._forget]
        return kept

    def read_by(self, example: Example) -> tuple[str, str]:
        return _picture(example)

    def served(self, example: Example) -> list[Array]:
        return [self.sequence(example, None)]

    def reason(self, example: Example) -> Array | None:
        return None

    def metadata(self) -> dict[str, Any]:
        return {"encoder": self._encoder.name, "encoder_sha256": self._encoder.digest}

    def tensors(self) -> dict[str, Array]:
        return {}


def mirrored(tokens: Array) -> Array:
    """(P, E) tokens of a square grid, in raster order, with left and right exchanged."""
    side = round(len(tokens) ** 0.5)
    grid = tokens.reshape(side, side, -1)
    exchanged: Array = grid[:, ::-1].reshape(tokens.shape)
    return exchanged


def encoded_pictures(
    encoder: ImageEncoder, examples: Sequence[Example], data: Path
) -> Iterator[npt.NDArray[np.float32]]:
    """(P, E) patch tokens of each example's picture; a few pictures are in memory at a time."""
    with ExitStack() as stack:
        archives = {
            name: stack.enter_context(zipfile.ZipFile(data / name))
            for name in sorted({one.source.archive for one in examples})
        }
        for start in range(0, len(examples), PICTURES):
            some = examples[start : start + PICTURES]
            yield from encoder([_read_picture(one, archives[one.source.archive]) for one in some])


def _picture(example: Example) -> tuple[str, str]:
    """Archive and member of an example's picture."""
    return example.source.archive, str(example.row[example.source.columns[0]])


def _read_picture(example: Example, archive: zipfile.ZipFile) -> npt.NDArray[np.uint8]:
    """(H, W, 3) RGB."""
    from PIL import Image

    member = archive.read(_picture(example)[1])
    return np.asarray(Image.open(io.BytesIO(member)).convert("RGB"), np.uint8)
