"""The text expert: an item's own text through the RWKV-7 trunk.

The trunk reads a text once. One head rates it; others name kinds of harm, which are shown as tags
and do not touch the rating: nobody has rated hate or threats on a scale of audiences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from capitoline.modalities.found_text import WORD
from capitoline.modalities.language.normalise import normalise
from capitoline.modalities.networks.rated import rated
from capitoline.modalities.schema import Decoded, Evidence, Modality, Outcome, Tag
from capitoline.modalities.shielded import shielded

if TYPE_CHECKING:
    from capitoline.modalities.networks.rater import Ratings
    from capitoline.modalities.networks.trunk import Reading, TextRater

RATING = "text"
"""The head that rates."""

LEAST_KNOWN = 0.5
"""Below this share of text in tokens that the weights know, a rating would be a guess."""


class Text:
    """Abstains on a text without words; one that its weights hardly know is unsupported, for nobody has read it.

    Args:
        rater: the trunk, shared with other experts (`load_text_rater`).
        harms: heads that name kinds of harm.

    Raises:
        ValueError: the weights have no such head.
    """

    modality: Modality | None = Modality.TEXT

    def __init__(self, rater: TextRater, harms: Sequence[str] = (), name: str = "text") -> None:
        self.name = name
        self.labels = rater.labels
        self._rater = rater
        if unknown := [head for head in harms if head not in rater.heads]:
            heads = ", ".join(sorted(set(rater.heads) - {RATING}))
            raise ValueError(f"harms: these weights have no head {', '.join(unknown)}; there are {heads}")
        self._harms = list(harms)

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order."""
        return shielded(self, self._rate, items, _has_text, [Modality.TEXT])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        texts = [item.text or "" for item in items]
        readings = [self._rater.read(text) for text in texts]
        silences = [_why_not(*pair) for pair in zip(texts, readings, strict=True)]
        read = [reading for reading, silence in zip(readings, silences, strict=True) if silence is None]
        ratings = self._rater.by_heads(read, [RATING, *self._harms]) if read else {}
        rows = iter(range(len(texts)))
        return [
            Evidence(self.name, self.modality, *silence) if silence else self._evidence(text, ratings, next(rows))
            for text, silence in zip(texts, silences, strict=True)
        ]

    def _evidence(self, text: str, ratings: Mapping[str, Ratings], row: int) -> Evidence:
        disguises = ", ".join(normalise(text).disguises)
        reservation = f"disguised text: {disguises}" if disguises else ""
        tags = [tag for head in self._harms for tag in self._named(head, ratings[head], row)]
        return rated(self, ratings[RATING], row, reservation, tags=sorted(tags, key=lambda tag: -tag.score))

    def _named(self, head: str, ratings: Ratings, row: int) -> Iterator[Tag]:
        """The axes of `head` that are decided to lie above their mildest level, and how likely that is."""
        shape = self._rater.shapes[head]
        severities = ratings.severities[row].reshape(len(shape.axes))
        probabilities = ratings.probabilities[row].reshape(len(shape.axes), len(shape.levels))
        for axis, severity, of_levels in zip(shape.axes, severities, probabilities, strict=True):
            if severity:
                yield Tag(axis or shape.levels[severity], 1.0 - float(of_levels[0]))


def _why_not(text: str, reading: Reading) -> tuple[Outcome, str] | None:
    """Outcome and reason of a text that is not rated. Figures and signs need nobody's look, what hides them does."""
    if not text.strip():
        return Outcome.ABSTAINED, "the text is empty"
    if not WORD.search(text) and any(one.isprintable() and not one.isspace() for one in text):
        return Outcome.ABSTAINED, "figures and signs, and no word"
    if (known := reading.known_share) < LEAST_KNOWN:
        reason = f"only {known:.0%} of the text is in words that the weights know: another language, or a cipher"
        return Outcome.UNSUPPORTED, reason
    return None


def _has_text(item: Decoded) -> bool:
    return item.text is not None
