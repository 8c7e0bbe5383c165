"""The tokens that a text trunk reads: World ids, compacted to those that its weight file has vectors for.

The World vocabulary has 65,536 tokens, of which our training data use a part; any other token is
spelt in its UTF-8 bytes, so every text has an encoding and the file stays small.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from capitoline.modalities.rwkv.tokenizer import VOCABULARY, WorldTokenizer, read_vocabulary

BEGIN = 0
"""The World vocabulary's id 0, which no text encodes to, begins every sequence."""

BYTES = 256
"""World ids 1 … 256 are the single bytes; they are always kept."""

Tokens = npt.NDArray[np.int64]


def known_share(text: str, tokens: Tokens) -> float:
    """Share of the bytes of `text` that lie in tokens longer than a byte; `tokens` are what it encodes to."""
    spelt = int((tokens <= BYTES).sum())
    return 1.0 - spelt / max(1, len(text.encode("utf-8", "surrogatepass")))


class Vocabulary:
    """World ids ↔ rows of the embedding.

    Args:
        kept: World ids above 256 that have a row, ascending.
    """

    def __init__(self, kept: Iterable[int]) -> None:
        self._tokenizer = WorldTokenizer()
        self.kept = np.fromiter(kept, np.int32)
        rows = [BEGIN, *range(1, BYTES + 1), *self.kept.tolist()]
        self._row_of = {world: row for row, world in enumerate(rows)}

    @staticmethod
    def whole() -> Vocabulary:
        """With a row for every World token, row and id being the same."""
        return Vocabulary(range(BYTES + 1, VOCABULARY))

    def __len__(self) -> int:
        return len(self._row_of)

    def encode(self, text: str) -> Tokens:
        """Rows of the embedding for `text`, without the beginning."""
        rows: list[int] = []
        for world in self._tokenizer.encode(text):
            row = self._row_of.get(world)
            rows.extend((row,) if row is not None else self._spelt(world))
        return np.array(rows, np.int64)

    def spellings(self) -> list[bytes]:
        """The bytes of each row of the embedding; the beginning, and ids that are no token, have none."""
        tokens = read_vocabulary()
        return [tokens.get(world, b"") for world in (BEGIN, *range(1, BYTES + 1), *self.kept.tolist())]

    def _spelt(self, world: int) -> list[int]:
        return [byte + 1 for byte in self._tokenizer.decode_bytes([world])]
