"""The audio expert: what is said in a sound or a film, through the text expert's trunk."""

from __future__ import annotations

from collections.abc import Sequence

from capitoline.modalities.found_text import RateTexts, rate_found
from capitoline.modalities.schema import Decoded, Evidence, Modality
from capitoline.modalities.shielded import shielded
from capitoline.modalities.speech.transcriber import Transcriber


class Speech:
    """Abstains on silence, music and noise, and on fewer words than say anything.

    Args:
        transcriber: sound to text.
        rate_texts: a `TextRater`, on the labels of its own weights.
        minimum_words: fewer are not evidence.
    """

    modality: Modality | None = Modality.AUDIO

    def __init__(
        self, transcriber: Transcriber, rate_texts: RateTexts, minimum_words: int = 3, name: str = "audio"
    ) -> None:
        self.name = name
        self._transcriber = transcriber
        self._rate_texts = rate_texts
        self._minimum_words = minimum_words

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order; its spans are the sentences, with their times."""
        return shielded(self, self._rate, items, lambda item: item.sound is not None, [Modality.AUDIO])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        found = [self._transcriber(item.sound) for item in items if item.sound is not None]
        return rate_found(self, found, self._rate_texts, self._minimum_words)
