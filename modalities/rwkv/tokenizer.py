"""The World tokenizer of RWKV: 65,529 byte strings, always the longest that fits."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from capitoline.modalities.rwkv.trie import Cut, cutter

VOCABULARY = 65_536
"""Rows of the embedding in models with this tokenizer; ids above 65,529 are never produced."""


class WorldTokenizer:
    """Text to token ids and back. Every byte is a token, so everything can be encoded."""

    def __init__(self) -> None:
        self._tokens = read_vocabulary()
        self._cut = _world_cutter()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, of any code points (lone surrogates are encoded as they are)."""
        return self.encode_bytes(text.encode("utf-8", "surrogatepass"))

    def encode_bytes(self, source: bytes) -> list[int]:
        """Ids of any bytes, UTF-8 or not."""
        return self._cut(source)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of these tokens. Raises ValueError for an id outside the vocabulary."""
        try:
            return b"".join(self._tokens[token] for token in ids)
        except KeyError as error:
            raise ValueError(f"{error} is not a token of the World vocabulary") from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these tokens; bytes that are not UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")


@cache
def _world_cutter() -> Cut:
    return cutter(read_vocabulary())


@cache
def read_vocabulary() -> dict[int, bytes]:
    """Bytes of each token, from the file in the `rwkv` package.

    Raises:
        ValueError: the file is damaged.
    """
    source = files("rwkv").joinpath("rwkv_vocab_v20230424.txt").read_text(encoding="utf-8")
    tokens = {}
    for line in source.rstrip("\n").split("\n"):
        number, rest = line.split(" ", 1)
        literal, length = rest.rsplit(" ", 1)
        tokens[int(number)] = token = _parse(literal)
        if len(token) != int(length):
            raise ValueError(f"the World vocabulary is damaged at token {number}; reinstall the package `rwkv`")
    return tokens


def _parse(literal: str) -> bytes:
    """The bytes of a Python literal; evaluating all of them would take ten times as long."""
    if literal[0] != "b" and "\\" not in literal:
        return literal[1:-1].encode()
    value = ast.literal_eval(literal)
    return value.encode() if isinstance(value, str) else bytes(value)
