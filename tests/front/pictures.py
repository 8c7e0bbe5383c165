"""Pictures drawn here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def noise(seed: int, height: int = 120, width: int = 160) -> npt.NDArray[np.uint8]:
    """Coloured blocks of 10 pixels: structure that survives resampling, unlike white noise."""
    blocks = np.random.default_rng(seed).integers(0, 256, (-(-height // 10), -(-width // 10), 3), dtype=np.uint8)
    return blocks.repeat(10, axis=0).repeat(10, axis=1)[:height, :width]
