"""Real recordings as the decoder hands them on."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from capitoline.modalities.schema import SAMPLE_RATE


def read_sound(file: Path) -> npt.NDArray[np.int16]:
    """(S,) mono at 16 kHz."""
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
    with av.open(str(file)) as container:
        frames = [one for frame in container.decode(audio=0) for one in resampler.resample(frame)]
    pieces = [frame.to_ndarray().reshape(-1) for frame in (*frames, *resampler.resample(None))]
    return np.concatenate(pieces).astype(np.int16)
