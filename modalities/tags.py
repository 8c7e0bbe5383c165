"""The tags expert: tags that an item came with, as text, through the trunk and a head of their own.

Only those: what a tagger finds goes to the threshold expert, because no rated data that we
know carries a tagger's tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from capitoline.modalities.rated import rated
from capitoline.modalities.schema import Decoded, Evidence, Modality, Outcome, Tag
from capitoline.modalities.shielded import shielded

if TYPE_CHECKING:
    from capitoline.modalities.trunk import TextRater

HEAD = "tags"


class Tags:
    """Abstains on tags that are all empty.

    Args:
        rater: the trunk, shared with other experts (`load_text_rater`).
    """

    modality: Modality | None = Modality.TAGS

    def __init__(self, rater: TextRater, name: str = "tags") -> None:
        self.name = name
        self.labels = rater.labels
        self._rater = rater

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order."""
        return shielded(self, self._rate, items, _has_tags, [Modality.TAGS])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        names = [tag_names(item.tags or ()) for item in items]
        ratings = self._rater([tags_text(one) for one in names if one], HEAD)
        rows = iter(range(len(items)))
        return [
            rated(self, ratings, next(rows), tags=[Tag(name, 1.0) for name in one])
            if one
            else Evidence(self.name, self.modality, Outcome.ABSTAINED, "every tag is empty")
            for one in names
        ]


def tag_names(tags: Iterable[str]) -> list[str]:
    """Tags in lower case, without repeats or empty ones, in alphabetical order.

    The order that a site lists them in means nothing, so it must not change a rating.
    """
    return sorted({" ".join(tag.split()).casefold() for tag in tags} - {""})


def tags_text(names: Sequence[str]) -> str:
    """What the trunk reads of them."""
    return "tags: " + ", ".join(names)


def _has_tags(item: Decoded) -> bool:
    return bool(item.tags)
