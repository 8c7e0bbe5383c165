"""Text found in a sound or a picture, on its way through the text expert's trunk."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capitoline.modalities.networks.rated import rated
from capitoline.modalities.schema import Evidence, Expert, Outcome, Span

if TYPE_CHECKING:
    from capitoline.modalities.networks.rater import Ratings

RateTexts = Callable[[Sequence[str]], "Ratings"]
"""What a `TextRater` does."""

WORD = re.compile(r"[^\W\d_]+")
"""A run of letters of any script; figures and signs alone say nothing to rate."""


@dataclass(frozen=True, slots=True)
class FoundText:
    """What was said in a sound, or written in a picture."""

    spans: tuple[Span, ...]
    """In order; times in seconds from the start of the sound or film."""
    reason: str = ""
    """Why there is no text, if there is none."""

    @property
    def text(self) -> str:
        return " ".join(span.text for span in self.spans)


def rate_found(expert: Expert, found: Sequence[FoundText], rate_texts: RateTexts, minimum_words: int) -> list[Evidence]:
    """One evidence for each of `found`: rated as one text, its spans also one by one, to show where it was seen."""
    enough = [one for one in found if count_words(one.text) >= minimum_words]
    evidence = iter(_rate(expert, enough, rate_texts) if enough else [])
    return [
        next(evidence) if count_words(one.text) >= minimum_words else _abstain(expert, one, minimum_words)
        for one in found
    ]


def _rate(expert: Expert, found: Sequence[FoundText], rate_texts: RateTexts) -> list[Evidence]:
    ratings = rate_texts([*(one.text for one in found), *(span.text for one in found for span in one.spans)])
    of_spans = iter(ratings.probabilities[len(found) :].tolist())
    return [
        rated(expert, ratings, row, spans=[replace(span, probabilities=tuple(next(of_spans))) for span in one.spans])
        for row, one in enumerate(found)
    ]


def _abstain(expert: Expert, found: FoundText, minimum_words: int) -> Evidence:
    reason = found.reason or f"fewer than {minimum_words} words"
    return Evidence(expert.name, expert.modality, Outcome.ABSTAINED, reason, spans=found.spans)


def count_words(text: str) -> int:
    """Runs of letters in `text`."""
    return len(WORD.findall(text))
