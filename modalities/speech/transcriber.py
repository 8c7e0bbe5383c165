"""Speech to text: voice detector, then Whisper, then a refusal of what Whisper invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from capitoline.modalities.found_text import FoundText
from capitoline.modalities.schema import Span
from capitoline.modalities.speech.voice import Stretch, cut_out, find_voice, time_in_sound

LEAST_LOG_PROBABILITY = -1.0
"""Mean of a segment's tokens, below which Whisper itself calls its decoding failed."""

MOST_COMPRESSION = 2.4
"""Of a segment's text by zlib, above which Whisper itself calls it a repetition."""

MOST_NO_SPEECH = 0.6
"""Probability of no speech, above which Whisper itself holds a segment for silence."""

MINIMUM_VOICE = 1.0
"""Seconds: what three words, the least that is rated, take at a brisk 180 a minute."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence or so, as a Whisper engine heard it."""

    start: float
    """Seconds from the start of what the engine was given."""
    end: float
    text: str
    no_speech: float
    log_probability: float
    compression: float

    @property
    def believable(self) -> bool:
        """Whether Whisper's own three thresholds let it pass (https://arxiv.org/abs/2212.04356, §4.5).

        Whisper calls silence only what fails two of them; here each refuses, since words that
        nobody said would become a ballot, and none is a safe answer.
        """
        return (
            self.log_probability >= LEAST_LOG_PROBABILITY
            and self.compression <= MOST_COMPRESSION
            and self.no_speech <= MOST_NO_SPEECH
        )


class WhisperEngine(Protocol):
    """See `whisper_engines.py`."""

    digest: str

    def __call__(self, sound: npt.NDArray[np.float32]) -> list[Segment]:
        """Segments of (S,) `sound` in -1 … 1 at 16 kHz, in order of time."""
        ...


class Transcriber:
    """A sound to what is said in it.

    Args:
        engine: of `whisper_engines.py`.
        minimum_voice: seconds of voice in a sound, below which nothing is transcribed.
    """

    def __init__(self, engine: WhisperEngine, minimum_voice: float = MINIMUM_VOICE) -> None:
        self._engine = engine
        self._minimum_voice = minimum_voice
        self.digest = engine.digest

    def __call__(self, sound: npt.NDArray[np.int16]) -> FoundText:
        """What is said in (S,) `sound`, in seconds of it; or why nothing is: no speech, or none that was understood."""
        samples = sound.astype(np.float32) / np.float32(32_768)
        stretches = find_voice(samples, self._minimum_voice)
        if not stretches:
            return FoundText((), "no speech")
        heard = [one for one in self._engine(cut_out(samples, stretches)) if one.believable and one.text.strip()]
        if not heard:
            return FoundText((), "voices, but no words that could be made out")
        return FoundText(tuple(_span(one, stretches) for one in heard))


def _span(segment: Segment, stretches: Sequence[Stretch]) -> Span:
    start, end = time_in_sound(segment.start, stretches), time_in_sound(segment.end, stretches)
    return Span(round(start, 2), round(end, 2), segment.text.strip())
