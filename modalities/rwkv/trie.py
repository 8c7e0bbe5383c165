"""Cutting bytes into the longest tokens of a vocabulary: in C++, and in Python where that is not compiled."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Mapping
from itertools import accumulate

from capitoline.modalities.rwkv.library import kernels

Cut = Callable[[bytes], list[int]]
"""Bytes to the ids of the longest tokens, left to right."""


def cutter(tokens: Mapping[int, bytes]) -> Cut:
    """The fastest there is. Every single byte must be a token, so that anything can be cut."""
    library = kernels()
    return PrefixTable(tokens) if library is None else CompiledTrie(tokens, library)


class PrefixTable:
    """Every beginning of a token, looked up as it grows."""

    def __init__(self, tokens: Mapping[int, bytes]) -> None:
        self._prefixes: dict[bytes, int] = {}
        """The id of the token that a beginning is, or 0."""
        for token in tokens.values():
            for end in range(1, len(token)):
                self._prefixes.setdefault(token[:end], 0)
        self._prefixes.update({token: number for number, token in tokens.items()})

    def __call__(self, source: bytes) -> list[int]:
        ids, begin = [], 0
        while begin < len(source):
            found, length = 0, 1
            for end in range(begin + 1, len(source) + 1):
                token = self._prefixes.get(source[begin:end])
                if token is None:
                    break
                if token:
                    found, length = token, end - begin
            ids.append(found)
            begin += length
        return ids


class CompiledTrie:
    """A trie in C++, some 3 MB for the World vocabulary."""

    def __init__(self, tokens: Mapping[int, bytes], library: ctypes.CDLL) -> None:
        pairs = sorted((token, number) for number, token in tokens.items())
        ends = (ctypes.c_int64 * len(pairs))(*accumulate(len(token) for token, _ in pairs))
        numbers = (ctypes.c_int32 * len(pairs))(*(number for _, number in pairs))
        library.trie_new.restype = ctypes.c_void_p
        library.trie_encode.restype = ctypes.c_int64
        text = b"".join(token for token, _ in pairs)
        self._trie = ctypes.c_void_p(library.trie_new(text, ends, numbers, ctypes.c_int64(len(pairs))))
        self._encode = library.trie_encode
        self._encode.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p)
        weakref.finalize(self, library.trie_delete, self._trie)

    def __call__(self, source: bytes) -> list[int]:
        if not source:
            return []
        # A buffer of its own for each call: the library runs without Python's lock.
        ids = bytearray(4 * len(source))
        count = self._encode(self._trie, source, len(source), ctypes.addressof(ctypes.c_char.from_buffer(ids)))
        return memoryview(ids).cast("i")[:count].tolist()
