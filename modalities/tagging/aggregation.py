"""One score of a film from the scores of its frames, by a named rule.

A film of two hours has more frames to be wrong about than one of ten seconds: under a rule that
any frame may fulfil, false alarms rise with length. A rule over a share of the frames does not
rise. Thresholds are fitted to what comes out, never to single frames (`threshold_fit.py`).

Legend for shapes:  F = frames of a film, N = tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]

SURE = 0.5
"""A frame from this score on counts for `share_above`."""

TOP = 3 / 16
"""Share of the frames that `top_mean` is over: three of the sixteen that a film is looked at by."""


def any_frame(scores: Scores) -> Scores:
    """(F, N) → (N,) the highest score: one frame is enough, and so is one mistake."""
    return np.asarray(scores.max(axis=0))


def share_above(scores: Scores, sure: float = SURE) -> Scores:
    """(F, N) → (N,) share of the frames that score `sure` or more."""
    return np.asarray((scores >= sure).mean(axis=0), dtype=np.float32)


def top_mean(scores: Scores, share: float = TOP) -> Scores:
    """(F, N) → (N,) mean of the highest scores, over `share` of the frames, at least one."""
    count = max(1, round(share * len(scores)))
    return np.asarray(np.sort(scores, axis=0)[-count:].mean(axis=0))


AGGREGATIONS: Mapping[str, Callable[[Scores], Scores]] = {
    "any": any_frame,
    "share": share_above,
    "top": top_mean,
}
"""By the name that a configuration gives. The fourth rule is the video expert, which reads the frames in order."""
