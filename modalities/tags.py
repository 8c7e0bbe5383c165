"""The tags expert: tags that an item came with, as text, through the trunk and a head of their own.

If asked to, it reads an item's tags and text together, by a head that was trained on both. Only the
tags of the item: what a tagger finds goes to the threshold expert, because no rated data that we
know carries a tagger's tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from capitoline.modalities.networks.rated import rated
from capitoline.modalities.schema import Decoded, Evidence, Modality, Outcome, Tag
from capitoline.modalities.shielded import shielded
from capitoline.modalities.text import LEAST_KNOWN

if TYPE_CHECKING:
    from capitoline.modalities.networks.trunk import TextRater

ALONE, WITH_TEXT = "tags", "both"
"""Heads of the trunk."""


class Tags:
    """Abstains on tags that are all empty.

    Args:
        rater: the trunk, shared with other experts (`load_text_rater`).
        with_text: read an item's text together with its tags, if the weights have a head for that.
    """

    modality: Modality | None = Modality.TAGS

    def __init__(self, rater: TextRater, with_text: bool = False, name: str = "tags") -> None:
        self.name = name
        self.labels = rater.labels
        self._rater = rater
        self._with_text = with_text and WITH_TEXT in rater.heads

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order."""
        return shielded(self, self._rate, items, _has_tags, [Modality.TAGS])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        names = [tag_names(item.tags or ()) for item in items]
        evidence = [Evidence(self.name, self.modality, Outcome.ABSTAINED, "every tag is empty") for _ in items]
        texts = [item.text if self._with_text and self._readable(item.text) else None for item in items]
        for head, together in ((ALONE, False), (WITH_TEXT, True)):
            rows = [row for row, one in enumerate(names) if one and (texts[row] is not None) == together]
            if rows:
                ratings = self._rater([tags_text(names[row], texts[row]) for row in rows], head)
                for place, row in enumerate(rows):
                    evidence[row] = rated(self, ratings, place, tags=[Tag(name, 1.0) for name in names[row]])
        return evidence

    def _readable(self, text: str | None) -> bool:
        return text is not None and bool(text.strip()) and self._rater.read(text).known_share >= LEAST_KNOWN


def tag_names(tags: Iterable[str]) -> list[str]:
    """Tags in lower case, without repeats or empty ones, in alphabetical order.

    The order that a site lists them in means nothing, so it must not change a rating.
    """
    return sorted({" ".join(tag.split()).casefold() for tag in tags} - {""})


def tags_text(names: Sequence[str], text: str | None = None) -> str:
    """What the trunk reads of them, after the item's text if that is read with them."""
    tags = "tags: " + ", ".join(names)
    return f"{text} {tags}" if text else tags


def _has_tags(item: Decoded) -> bool:
    return bool(item.tags)
