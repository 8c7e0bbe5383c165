"""The text trunk: World tokens, RWKV-7, and a head for each kind of text.

A long text is read in windows of the length that the network was trained on, and the most
severe window speaks for it: one explicit page in a long book must not be averaged away. Nor must
one explicit sentence in a harmless page: stretches of a window are asked too, from the same reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from capitoline.modalities.language.normalise import in_latin_letters, normalise
from capitoline.modalities.language.vocabulary import BEGIN, Tokens, Vocabulary, known_share
from capitoline.modalities.networks.rater import NONE, Ratings, SequenceRater
from capitoline.modalities.weights import find_weights

STRETCH = 16
"""Tokens, about a clause: what an explicit sentence among harmless ones fills."""
SURE, FAR = 0.8, 2
"""Probability from which, and levels by which, a stretch must be worse than its text to speak for it."""


def windows(tokens: Tokens, length: int) -> list[Tokens]:
    """`tokens` in as few stretches of at most `length` as possible, all about equally long, each begun."""
    pieces = np.array_split(tokens, max(1, -(-len(tokens) // length)))
    return [np.concatenate(([BEGIN], piece)) for piece in pieces]


def stretches(length: int) -> list[tuple[int, int]]:
    """Where stretches of about `STRETCH` tokens of a begun window start and end, each half within the next.

    None in a window that is hardly longer than one.
    """
    count = round((length - 1) / STRETCH)
    if count < 2:
        return []
    ends = np.linspace(1, length, 2 * count + 1).astype(int).tolist()
    return list(zip(ends[:-2], ends[2:], strict=True))


def worst_of(ratings: Ratings, owners: Sequence[int], windows: int, texts: int) -> Ratings:
    """The rating of each text: of its most severe window, or of a stretch that is sure of far worse.

    `ratings` are those of `windows` windows and then of stretches, which belong to the texts in `owners`. A sentence
    alone is often misread, so a stretch is heard only if it gives `SURE` to `FAR` levels above the windows' decision.
    """
    whole = ratings.at(range(windows)).worst_of(owners[:windows], texts)
    if ratings.probabilities.ndim > 2 or len(owners) == windows:
        return whole
    above = np.cumsum(ratings.probabilities[windows:, ::-1], axis=1)[:, ::-1]
    reached = (above >= SURE).sum(axis=1) - 1
    far = np.flatnonzero(reached >= whole.severities[owners[windows:]] + FAR)
    heard = [*range(windows), *(windows + far)]
    return ratings.at(heard).worst_of([owners[row] for row in heard], texts)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text in tokens."""

    windows: tuple[Tokens, ...]
    """Of every reading of the text: a guess stands beside what is written, so it cannot make it milder."""
    known_share: float
    """Share of the text's bytes, as it is read, in tokens the weights have a vector for; 0 if it has no words, or is
    written in another script, of which the weights have vectors for scattered signs."""


class TextRater:
    """The trunk with its heads. Get one from `load_text_rater`, which every expert shares."""

    def __init__(self, path: Path) -> None:
        self._rater = SequenceRater(path, "text")
        self._vocabulary = Vocabulary(self._rater.tensors["vocabulary"].tolist())
        self._window: int = self._rater.metadata["window"]
        self.labels = self._rater.labels
        self.shapes = self._rater.heads
        self.heads: tuple[str, ...] = tuple(self.shapes)

    def __call__(self, texts: Sequence[str], head: str = "text") -> Ratings:
        """Ratings of B texts by `head`; the most severe window speaks for a long text.

        Raises:
            ValueError: the weights have no such head.
        """
        return self.by_heads([self.read(text) for text in texts], [head])[head]

    def read(self, text: str) -> Reading:
        """`text` in tokens, with the disguises of its characters undone (`normalise`)."""
        readings = normalise(text).readings
        tokens = [self._vocabulary.encode(one) for one in readings]
        known = known_share(readings[-1], tokens[-1]) if in_latin_letters(readings[-1]) else 0.0
        return Reading(tuple(window for one in tokens for window in windows(one, self._window)), known)

    def by_heads(self, texts: Sequence[Reading], heads: Sequence[str]) -> dict[str, Ratings]:
        """As a call, by several heads, for which the trunk reads the texts but once.

        Raises:
            ValueError: the weights have not all of these heads.
        """
        for head in heads:
            if head not in self.heads:
                raise ValueError(f"these weights have no head {head!r}, only {', '.join(self.heads)}")
        owners = [owner for owner, text in enumerate(texts) for _ in text.windows]
        read = [window for text in texts for window in text.windows]
        parts = [(row, *ends) for row, window in enumerate(read) for ends in stretches(len(window))]
        ratings = self._rater.by_heads(read, heads, np.array(parts, np.int64) if parts else NONE)
        owners += [owners[row] for row, _, _ in parts]
        return {head: worst_of(one, owners, len(read), len(texts)) for head, one in ratings.items()}


def load_text_rater(weights: str) -> TextRater:
    """The rater of shipped weights or of a file's path, loaded once a process.

    Raises:
        ValueError: no such weights, or not weights of a text trunk.
    """
    return _load(find_weights(weights).resolve())


@cache
def _load(path: Path) -> TextRater:
    return TextRater(path)
