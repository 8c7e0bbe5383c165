"""How a baseline's network reads texts: in our World tokens, or with the tokenizer of a pretrained model.

Long texts are cut after so many tokens, as users of such models do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from capitoline.modalities.language.vocabulary import BEGIN, Vocabulary
from capitoline.pipelines.training.baselines.saving import bytes_of, text_of
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.texts import example_text

Ids = npt.NDArray[np.int64]


class Reader(Protocol):
    """Texts to token ids, never none."""

    def ids(self, text: str) -> Ids: ...

    def tensors(self) -> dict[str, Tensor]:
        """What `restored` makes it of."""
        ...


class WorldReader:
    """World tokens, of which those in `kept` have vectors and others are spelt in bytes."""

    def __init__(self, kept: Iterable[int], window: int) -> None:
        self._vocabulary, self._window = Vocabulary(kept), window
        self.vocabulary = len(self._vocabulary)

    def ids(self, text: str) -> Ids:
        return np.concatenate(([BEGIN], self._vocabulary.encode(text)[: self._window - 1]))

    def tensors(self) -> dict[str, Tensor]:
        return {"reader.vocabulary": torch.from_numpy(self._vocabulary.kept)}


class PieceReader:
    """A tokenizer of the `tokenizers` library, from its JSON."""

    def __init__(self, tokenizer: str, window: int) -> None:
        from tokenizers import Tokenizer

        self._json = tokenizer
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(window)

    def ids(self, text: str) -> Ids:
        return np.array(self._tokenizer.encode(text).ids, np.int64)

    def tensors(self) -> dict[str, Tensor]:
        return {"reader.tokenizer": bytes_of(self._json)}


def restored(tensors: Mapping[str, Tensor], window: int) -> Reader:
    """The reader that a weight file holds."""
    if "reader.tokenizer" in tensors:
        return PieceReader(text_of(tensors["reader.tokenizer"]), window)
    return WorldReader(tensors["reader.vocabulary"].tolist(), window)


class ReadInputs:
    """The `Inputs` of a training whose texts a reader reads; nothing is augmented but by dropout."""

    vocabulary = vector = 0

    def __init__(self, reader: Reader, examples: Sequence[Example]) -> None:
        texts = {text: reader.ids(text) for text in set(map(example_text, examples))}
        self._ids = {one.key: texts[example_text(one)] for one in examples}

    def sequence(self, example: Example, draw: np.random.Generator | None) -> Ids:
        return self._ids[example.key]

    def read_by(self, example: Example) -> str:
        return example_text(example)

    def served(self, example: Example) -> list[npt.NDArray[Any]]:
        return [self._ids[example.key]]

    def reason(self, example: Example) -> None:
        """None: baselines learn labels only."""

    def metadata(self) -> dict[str, Any]:
        return {}

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        return {}
