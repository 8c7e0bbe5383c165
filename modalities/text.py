"""The text expert: an item's own text through the RWKV-7 trunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from capitoline.modalities.rated import rated
from capitoline.modalities.schema import Decoded, Evidence, Modality, Outcome
from capitoline.modalities.shielded import shielded

if TYPE_CHECKING:
    from capitoline.modalities.trunk import TextRater

LEAST_KNOWN = 0.5
"""Below this share of text in tokens that the weights know, a rating would be a guess."""


class Text:
    """Abstains on an empty text; one that its weights hardly know is unsupported, for nobody has read it.

    Args:
        rater: the trunk, shared with other experts (`load_text_rater`).
    """

    modality: Modality | None = Modality.TEXT

    def __init__(self, rater: TextRater, name: str = "text") -> None:
        self.name = name
        self.labels = rater.labels
        self._rater = rater

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order."""
        return shielded(self, self._rate, items, _has_text, [Modality.TEXT])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        texts = [item.text or "" for item in items]
        reasons = [self._reason_not_to_rate(text) for text in texts]
        ratings = self._rater([text for text, reason in zip(texts, reasons, strict=True) if not reason])
        rows = iter(range(len(texts)))
        return [
            Evidence(self.name, self.modality, Outcome.UNSUPPORTED if text.strip() else Outcome.ABSTAINED, reason)
            if reason
            else rated(self, ratings, next(rows))
            for text, reason in zip(texts, reasons, strict=True)
        ]

    def _reason_not_to_rate(self, text: str) -> str:
        if not text.strip():
            return "the text is empty"
        known = self._rater.known_share(text)
        if known < LEAST_KNOWN:
            return f"only {known:.0%} of the text is in words that the weights know: another language, or a cipher"
        return ""


def _has_text(item: Decoded) -> bool:
    return item.text is not None
