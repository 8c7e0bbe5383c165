"""Texts and tags → the token ids that a trunk is trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capitoline.configs.training import Training
from capitoline.modalities.language.vocabulary import BEGIN, BYTES, Tokens, Vocabulary
from capitoline.modalities.networks.trunk import windows
from capitoline.modalities.tags import tag_names, tags_text
from capitoline.pipelines.training.dataset import Division, Example


class TextInputs:
    """Texts, and tags as text, in tokens of a vocabulary: of `kept` World ids, or of what the training rows use."""

    vector = 0

    def __init__(
        self, examples: Sequence[Example], settings: Training, data: Path, kept: Sequence[int] | None = None
    ) -> None:
        self._window, self._forget = settings.window, settings.forget
        if kept is None:
            kept = used_tokens((example_text(one) for one in examples if one.division is Division.TRAIN), settings)
        self._vocabulary = Vocabulary(kept)
        texts = {text: self._vocabulary.encode(text) for text in set(map(example_text, examples))}
        self._tokens = {one.key: texts[example_text(one)] for one in examples}
        self._reasons = {one.key: self._vocabulary.encode(why) for one in examples if (why := _reason(one))}
        self.vocabulary = len(self._vocabulary)

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Tokens:
        """(T,) int64: the first window of the text; in training any window, some tokens dropped."""
        parts = windows(self._tokens[example.key], self._window)
        if draw is None:
            return parts[0]
        part = parts[draw.integers(len(parts))]
        kept: Tokens = part[(draw.random(len(part)) >= self._forget) | (part == BEGIN)]
        return kept

    def read_by(self, example: Example) -> str:
        return example_text(example)

    def served(self, example: Example) -> list[Tokens]:
        """Every window of the text."""
        return [*windows(self._tokens[example.key], self._window)]

    def reason(self, example: Example) -> Tokens | None:
        return self._reasons.get(example.key)

    def metadata(self) -> dict[str, Any]:
        return {"window": self._window}

    def tensors(self) -> dict[str, npt.NDArray[np.int32]]:
        return {"vocabulary": self._vocabulary.kept}


def used_tokens(texts: Iterable[str], settings: Training) -> list[int]:
    """World ids, above the bytes, of the tokens that `texts` use often enough."""
    whole = Vocabulary.whole()
    counts = Counter(token for text in texts for token in whole.encode(text).tolist())
    return sorted(token for token, count in counts.items() if token > BYTES and count >= settings.rarest)


def example_text(example: Example) -> str:
    """The text that the head of the example's source reads: columns of text, then those of tags."""
    source = example.source
    if source.head == "tags":
        return _tags(example.row, source.columns)
    text = own_text(example)
    return f"{text} {_tags(example.row, source.tags)}" if source.tags else text


def own_text(example: Example) -> str:
    """The columns of text alone."""
    return " ".join(str(example.row[name]) for name in example.source.columns if example.row.get(name))


def _reason(example: Example) -> str:
    reason = example.source.reason
    return str(example.row.get(reason.column) or "") if reason else ""


def _tags(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    found = [str(row[name]).replace(";", ",") for name in columns if row.get(name)]
    return tags_text(tag_names(tag for column in found for tag in column.split(",")))
