"""The vocabulary: what is rated, what an expert concludes, what is decided.

Everything here is frozen and small, crosses process boundaries as it is, and knows
nothing of files, models or Ray. Read this file first.

Legend for shapes:  K = labels of the scale, D = width of the pre-logits,
                    H, W = pixels, S = samples of sound at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

UNRATED = "UNRATED"
"""Outside every scale: nobody could rate the item. It is never the mildest label."""

SAMPLE_RATE = 16_000
"""Hertz of every `Decoded.sound`; what Whisper and the voice detector expect."""


class Modality(StrEnum):
    """What a part of an item is made of. A clip has a video part and an audio part."""

    TEXT = "text"
    TAGS = "tags"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


class Outcome(StrEnum):
    """How an expert's look at one item ended. Only `RATED` casts a ballot."""

    RATED = "rated"
    ABSTAINED = "abstained"
    """Looked and cannot tell: silence, an empty transcript, no tag that the table knows."""
    ABSENT = "absent"
    """The item has no such part."""
    UNSUPPORTED = "unsupported"
    """A format that nobody here reads."""
    ERROR = "error"
    """Broken, over a limit, timed out or crashed; the reason says which."""


FAILURES = frozenset({Outcome.UNSUPPORTED, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class RatingScale:
    """Ordered labels, mildest first. A label's position is its severity, an integer.

    Nothing anywhere compares label strings: `G < PG < PG-13 < R < NC-17` sorts wrongly.

    Raises:
        ValueError: fewer than two labels, a repeated one, an empty one, or `UNRATED`.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValueError("a rating scale needs at least two labels, mildest first")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a rating scale must not repeat a label: {self.labels}")
        if UNRATED in self.labels or "" in self.labels:
            raise ValueError(f"{UNRATED!r} and the empty string cannot be labels of a scale")

    def __len__(self) -> int:
        return len(self.labels)

    def severity(self, label: str) -> int:
        """Position of `label`. Raises ValueError for a label that is not on the scale."""
        try:
            return self.labels.index(label)
        except ValueError:
            raise ValueError(f"{label!r} is not on the scale {' < '.join(self.labels)}") from None

    def label(self, severity: int) -> str:
        """Label at `severity`. Raises ValueError outside `0 … K-1` (no negative indexing)."""
        if not 0 <= severity < len(self.labels):
            raise ValueError(f"severity {severity} is outside 0…{len(self.labels) - 1}")
        return self.labels[severity]


class Storage(StrEnum):
    """How a file's bytes lie in `File.source`."""

    PLAIN = "plain"
    TAR = "tar"
    """An uncompressed tar: `size` bytes from `offset`."""
    ZIP = "zip"
    """A zip member whose local header starts at `offset`."""


@dataclass(frozen=True, slots=True)
class File:
    """Where the bytes of one file lie, so that any process can read just them."""

    source: str
    """A local path or an fsspec URL: of the file, or of the archive that holds it."""
    name: str
    """The path that a person knows it by; for a member, its path inside the archive."""
    size: int
    """Bytes once unpacked, as its directory entry or header declares them."""
    storage: Storage = Storage.PLAIN
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """What is rated: its own text and tags, and the files of its media, not yet opened."""

    id: str
    """Stable over runs and unique in a job, printable: archive + member path, or the manifest's id."""
    text: str | None = None
    tags: tuple[str, ...] | None = None
    files: tuple[File, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    """Why the scan could not offer all of it (an unreadable folder, a lost member); else empty."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of an image or a film."""

    pixels: npt.NDArray[np.uint8]
    """(H, W, 3) RGB, upright, shrunk to the decoder's box."""
    seconds: float = 0.0
    """When it is shown, from the start of the film; 0 for a still."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a part of an item could not be decoded."""

    outcome: Outcome
    reason: str

    def __post_init__(self) -> None:
        assert self.outcome in FAILURES, self.outcome


@dataclass(frozen=True, slots=True)
class Decoded:
    """An item with its files read and decoded under limits: the object all experts share."""

    item: Item
    digest: str
    """BLAKE2b-128, hexadecimal, over the item's text, tags and the bytes of its files."""
    text: str | None = None
    """The item's own text: the manifest's or sidecar's, or the content of a text file."""
    tags: tuple[str, ...] | None = None
    pictures: tuple[Frame, ...] = ()
    """Of an image; several for an animation, spread over its length."""
    film: tuple[Frame, ...] = ()
    """Of a film, in order of time."""
    sound: npt.NDArray[np.int16] | None = None
    """(S,) mono at 16 kHz, of an audio file or a film's sound track."""
    duration: float | None = None
    """Seconds of the film or sound, as far as it was read."""
    failures: Mapping[Modality, Failure] = field(default_factory=dict)
    """Parts that are there and could not be decoded."""
    unreadable: tuple[Failure, ...] = ()
    """Files of which not even the modality is known: no bytes, an unknown kind, a read error."""
    notes: tuple[str, ...] = ()
    """What was cut, salvaged or guessed, for the reviewer."""

    @property
    def parts(self) -> tuple[Modality, ...]:
        """What the item is made of, decoded or failed to, in the order of `Modality`."""
        decoded = {
            Modality.TEXT: self.text is not None,
            Modality.TAGS: self.tags is not None,
            Modality.IMAGE: bool(self.pictures),
            Modality.AUDIO: self.sound is not None,
            Modality.VIDEO: bool(self.film),
        }
        return tuple(one for one in Modality if decoded[one] or one in self.failures)


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    score: float
    """In 0…1; 1 for a tag that the item came with."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of speech, of written text in a picture, or of a film, and what was found in it."""

    start: float
    """Seconds from the start; 0 for text in a still."""
    end: float
    text: str = ""
    probabilities: tuple[float, ...] = ()
    """(K,) of this stretch alone, where the expert rates stretches."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one expert concluded about one item, and where it saw it."""

    expert: str
    modality: Modality | None
    outcome: Outcome
    reason: str = ""
    """Why it did not rate; empty if rated without reservation."""
    probabilities: tuple[float, ...] = ()
    """(K,) summing to 1, if rated by an expert that has them."""
    severity: int | None = None
    """Position on the scale, if rated."""
    features: npt.NDArray[np.float32] | None = None
    """(D,) the pre-logit vector, for fusion; None where the expert has none."""
    spans: tuple[Span, ...] = ()
    tags: tuple[Tag, ...] = ()
    seconds: float = 0.0
    """CPU seconds that this expert spent on the item (its share of a batch)."""

    def __post_init__(self) -> None:
        rated = self.outcome is Outcome.RATED
        assert rated == (self.severity is not None), f"{self.expert}: {self.outcome} with severity {self.severity}"
        assert rated or self.reason, f"{self.expert}: {self.outcome} without a reason"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about one item, with all that it rests on."""

    item_id: str
    digest: str
    rating: str
    """A label of the scale, or `UNRATED`."""
    severity: int | None
    """Position of `rating`; None exactly if unrated."""
    rule: str
    """Which decider and rule: `voter:majority`."""
    evidence: tuple[Evidence, ...]
    probabilities: tuple[float, ...] = ()
    """(K,) where the decider has them."""
    tied: tuple[str, ...] = ()
    """The labels that drew, mildest first; empty without a draw."""
    review: tuple[str, ...] = ()
    """Why a person should look at it; empty if nobody need."""

    def __post_init__(self) -> None:
        assert (self.rating == UNRATED) == (self.severity is None), (self.rating, self.severity)

    @property
    def needs_review(self) -> bool:
        return bool(self.review)

    @property
    def failed(self) -> bool:
        """Whether any part of the item could not be read or rated."""
        return any(one.outcome in FAILURES for one in self.evidence)


class Expert(Protocol):
    """One judge of one modality. Weights load when it is built, never at a call."""

    @property
    def name(self) -> str: ...

    @property
    def modality(self) -> Modality | None: ...

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order. Never raises for an item: a failure is an outcome."""
        ...


class Decider(Protocol):
    """Turns the experts' evidence about an item into a verdict."""

    @property
    def name(self) -> str: ...

    def __call__(self, item: Decoded, evidence: Sequence[Evidence]) -> Verdict: ...
