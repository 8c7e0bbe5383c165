"""What decoding one item may cost, how much of it the experts see, and the error when it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass

from capitoline.modalities.schema import Failure, Outcome


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Beyond any of these an item is an `error` or is cut with a word to the reviewer, never quietly shortened."""

    file_bytes: int
    text_characters: int
    picture_pixels: int
    """Width × height that a header may declare."""
    animation_frames: int
    """Frames of an animation that are looked through."""
    film_pixels: int
    """Width × height of one film frame."""
    sound_seconds: float
    item_seconds: float
    """Wall seconds, and CPU seconds of all threads together, for one item; after either its decoder is killed."""
    decoder_memory_bytes: int
    """Address space of a decoder's process."""
    archive_ratio: float
    """Unpacked ÷ packed size of an archive's member, above 16 MB."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How much of each medium is handed to the experts."""

    picture_side: int
    """Pixels of a picture's shorter side after shrinking."""
    animation_frames: int
    """Frames taken from an animated picture."""
    film_frames: int
    """Frames taken from a film."""


class UndecodableError(Exception):
    """A file, or a part of one, that cannot be read or decoded, and why."""

    def __init__(self, reason: str, outcome: Outcome = Outcome.ERROR) -> None:
        super().__init__(reason)
        self.failure = Failure(outcome, reason)


def unsupported(reason: str) -> UndecodableError:
    """For a format that is known, or at least not broken, but that nobody here reads."""
    return UndecodableError(reason, Outcome.UNSUPPORTED)
