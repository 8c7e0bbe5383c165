"""What a teacher's answer is, and what became of each row. These cross process boundaries as they are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from capitoline.modalities.schema import Decoded, Item


@dataclass(frozen=True, slots=True)
class Usage:
    """What asking took."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.answer_tokens + other.answer_tokens,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A label on the scale with the teacher's reason."""

    label: str
    reason: str
    usage: Usage = Usage()
    """Of all attempts at it."""
    probabilities: tuple[float, ...] = ()
    """(K,) where the teacher has them."""


class NoAnswerError(Exception):
    """The teacher gave no label. Nothing stands in for one."""

    def __init__(self, reason: str, usage: Usage = Usage(), unserved: bool = False) -> None:
        """`unserved`: by no fault of the row; the server was not to be had."""
        super().__init__(reason)
        self.usage, self.unserved = usage, unserved


class Teacher(Protocol):
    """Answers about one item; raises NoAnswerError where it has none."""

    @property
    def closed(self) -> str:
        """Why no further question makes sense; empty while one does."""
        ...

    def ask(self, item: Decoded) -> Answer: ...

    def ask_again(self, item: Decoded, first: Answer) -> Answer:
        """A second answer, told only that the first was wrong."""
        ...


class Fate(StrEnum):
    """What became of a row."""

    LABELLED = "labelled"
    DISCARDED = "discarded"
    """Teacher and trusted label disagree, and the policy drops such rows."""
    ERROR = "error"
    """The teacher gave no usable answer."""
    UNASKED = "unasked"
    """The run stopped before it; never committed, so the next run asks."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """All that is kept of one row."""

    item: Item
    fate: Fate
    digest: str = ""
    """Of what the item is made of, as in `rate`."""
    text: str | None = None
    tags: tuple[str, ...] | None = None
    answer: Answer | None = None
    """The label that the data set gets; None unless labelled."""
    first: str = ""
    """The teacher's first label, whatever became of it."""
    trusted: str = ""
    judgement: str = ""
    """How the policy ended."""
    why: str = ""
    """Why there is no label."""
    usage: Usage = Usage()
    asked_at: str = ""
    """Of the first question: ISO 8601, UTC."""
    cut: bool = False
    """The teacher did not see all of the text."""
    unserved: bool = False
    """An error by no fault of the row."""

    def __post_init__(self) -> None:
        assert (self.fate is Fate.LABELLED) == (self.answer is not None), (self.fate, self.answer)
