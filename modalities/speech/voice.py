"""Where somebody speaks in a sound: Silero's voice detector, and the times it cuts out.

Without it Whisper invents sentences on rain and engines, and takes 25 times as long there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capitoline.modalities.schema import SAMPLE_RATE

THRESHOLD = 0.5
"""Probability of voice from which Silero counts a moment of 32 ms as spoken; its authors' value."""

SHORTEST_MILLISECONDS = 250
"""Of an unbroken stretch of voice; its authors' value. Most coughs and sneezes are shorter."""

PAUSE_MILLISECONDS = 100
"""Of silence that ends an unbroken stretch; its authors' value."""

MARGIN = int(0.4 * SAMPLE_RATE)
"""Samples kept on both sides of voice, where soft consonants and short words lie."""

REST = 2 * SAMPLE_RATE
"""Samples between voices that are kept whole: without its pauses a speech is harder to understand."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples `start … end - 1` of a sound."""

    start: int
    end: int


def find_voice(sound: npt.NDArray[np.float32], minimum_seconds: float) -> list[Stretch]:
    """Stretches of (S,) `sound` in which somebody speaks, with their margins, at least `REST` apart.

    None at all if they hold less than `minimum_seconds` of voice together.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=THRESHOLD,
        neg_threshold=THRESHOLD,  # no hysteresis: what is counted as voice is all above the threshold
        min_speech_duration_ms=SHORTEST_MILLISECONDS,
        min_silence_duration_ms=PAUSE_MILLISECONDS,
        speech_pad_ms=0,
    )
    voiced = [Stretch(found["start"], found["end"]) for found in get_speech_timestamps(sound, options)]
    if sum(one.end - one.start for one in voiced) < minimum_seconds * SAMPLE_RATE:
        return []
    return _with_margins(voiced, len(sound))


def _with_margins(voiced: Sequence[Stretch], length: int) -> list[Stretch]:
    merged: list[Stretch] = []
    for one in voiced:
        start, end = max(0, one.start - MARGIN), min(length, one.end + MARGIN)
        if merged and start - merged[-1].end < REST:
            start = merged.pop().start
        merged.append(Stretch(start, end))
    return merged


def cut_out(sound: npt.NDArray[np.float32], stretches: Sequence[Stretch]) -> npt.NDArray[np.float32]:
    """The stretches of `sound`, end to end."""
    return np.concatenate([sound[one.start : one.end] for one in stretches])


def time_in_sound(seconds: float, stretches: Sequence[Stretch]) -> float:
    """When, in seconds of the whole sound, is what lies at `seconds` of the stretches end to end?"""
    remaining = seconds * SAMPLE_RATE
    for one in stretches:
        if remaining <= one.end - one.start:
            return (one.start + max(remaining, 0.0)) / SAMPLE_RATE
        remaining -= one.end - one.start
    return stretches[-1].end / SAMPLE_RATE
