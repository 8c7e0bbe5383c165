"""What the video network reads of a frame: scores of five channels, their log-odds, and which of them are known.

The only films with ratings that we have come as scores without pixels (emotionlib): safe,
explicit and gore sum to 1, and so do negative and positive. From pixels we can compute the
first two (OpenNSFW); the network was trained with the others hidden half of the time.

Three quarters of the scores lie within a twentieth of 0 or 1, where a network sees no difference
between 10⁻² and 10⁻⁴ that a tree sees: hence the log-odds.

The gap between frames is not given: in the data a clip's length gives its class away.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CHANNELS = ("safe", "explicit", "gore", "negative", "positive")

SEEN_HERE = np.array([True, True, False, False, False])
"""(channels,) those that OpenNSFW gives."""

WIDTH = 3 * len(CHANNELS)
"""Of a frame's vector: scores, whether they are known, log-odds."""

LEAST = 1e-4
"""Added to a score and to what it lacks to 1: its log-odds then stay within ± 9.2, which are scaled to ± 1."""


def frame_vectors(scores: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """(T, channels) scores, with which channels are known → (T, WIDTH) vectors.

    A score below 0 is that of a frame which the classifier could not read, so it is unknown there. Without gore,
    safe and explicit are made to sum to 1, as a two-way classifier's do.
    """
    mask = known & (scores >= 0)
    scores = np.where(mask, scores, 0.0)
    if not known[CHANNELS.index("gore")]:
        scores[:, :2] /= np.maximum(scores[:, :2].sum(1, keepdims=True), 1e-6)
    odds = np.log(scores + LEAST) - np.log(np.maximum(1.0 - scores, 0.0) + LEAST)
    return np.concatenate((scores, mask, np.where(mask, odds / -np.log(LEAST), 0.0)), axis=1, dtype=np.float32)


def nsfw_vectors(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(T,) p(nsfw) of OpenNSFW → (T, WIDTH): safe and explicit known, the rest not."""
    scores = np.zeros((len(probabilities), len(CHANNELS)), np.float32)
    scores[:, 0], scores[:, 1] = 1.0 - probabilities, probabilities
    return frame_vectors(scores, SEEN_HERE)


def spread(count: int, window: int) -> npt.NDArray[np.int64]:
    """(window,) indices spread evenly over `count` frames; of few frames some are taken more than once."""
    return np.linspace(0, count - 1, window).round().astype(np.int64)
