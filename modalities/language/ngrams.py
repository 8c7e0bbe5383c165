"""Letter and word n-grams of token sequences, hashed: what a linear model sees beside the trunk.

A compact network blurs rare words, and a linear model of n-grams does not: each knows what the other
misses ("wide and deep", arXiv:1606.07792). Letters also survive misspelling, which breaks words.
N-grams are hashed into buckets (arXiv:0902.2206), so no list of them is kept. They are made of the
very tokens that the trunk reads, so both halves of the expert see the same window of a text.

Words are letters and figures together, or one other sign; letters of ASCII are folded to lower case.
Letter n-grams lie within a word and the spaces around it.

Legend:  B = sequences, T = tokens, S = bytes of the stream, N = n-grams of all sequences, F = buckets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

SIZES = (2, 3, 4, 5)
"""Bytes of the letter n-grams."""

SPACE = 32
_ROOT = 0x9E3779B97F4A7C15
"""Of the polynomial hash: odd, so that it has an inverse modulo 2^64."""

_NOTHING, _LETTER, _SIGN = 0, 1, 2
_BYTES = bytes(range(256))
_LOWER = np.frombuffer(_BYTES.lower(), np.uint8)
_CLASS = np.array(
    [_NOTHING if one <= SPACE else _LETTER if one > 127 or chr(one).isalnum() else _SIGN for one in _BYTES], np.uint8
)


@dataclass(frozen=True, slots=True)
class Counts:
    """How often which n-gram occurs: a sparse matrix, sorted by sequence and bucket."""

    owners: Numbers
    """(N,) which of the sequences."""
    buckets: Numbers
    """(N,)."""
    counts: Numbers
    """(N,)."""


class NGrams:
    """Counts the n-grams of token sequences.

    Args:
        spellings: the bytes of each token, by its id.
        bits: buckets are 2^bits.
    """

    def __init__(self, spellings: Sequence[bytes], bits: int) -> None:
        self._letters = _LOWER[np.frombuffer(b"".join(spellings), np.uint8)]
        self._lengths = np.array([len(one) for one in spellings], np.int64)
        self._begins = np.cumsum(self._lengths) - self._lengths
        self._bits = bits

    def __call__(self, sequences: Sequence[npt.NDArray[np.int64]]) -> Counts:
        """Of B sequences, each of (T,) token ids."""
        found = [(owners, _scattered(hashes)) for owners, hashes in self._hashes(sequences)]
        owners = np.concatenate([one for one, _ in found])
        hashes = np.concatenate([one for _, one in found])
        buckets = (hashes >> np.uint64(64 - self._bits)).astype(np.int64)
        keys, counts = np.unique(owners << self._bits | buckets, return_counts=True)
        return Counts(keys >> self._bits, keys & ((1 << self._bits) - 1), counts.astype(np.int64))

    def _hashes(self, sequences: Sequence[npt.NDArray[np.int64]]) -> Iterator[tuple[Numbers, Hashes]]:
        """Owner and hash of every n-gram: letters by size, words, pairs of words."""
        stream, owners = _spaced(*self._spelt(sequences))
        prefix, unroot = _polynomial(stream)
        spaces = np.cumsum(np.append(0, stream == SPACE))
        for size in SIZES:
            starts = np.arange(max(0, len(stream) - size + 1))
            starts = starts[spaces[starts + size - 1] == spaces[starts + 1]]
            yield owners[starts], _between(prefix, unroot, starts, starts + size) + np.uint64(size)
        gaps = np.flatnonzero(stream == SPACE)
        starts, ends = gaps[:-1] + 1, gaps[1:]
        words, of = _between(prefix, unroot, starts, ends) + np.uint64(1), owners[starts]
        yield of, words
        together = of[1:] == of[:-1]
        yield of[1:][together], (_scattered(words[:-1]) * np.uint64(3) + words[1:])[together]

    def _spelt(self, sequences: Sequence[npt.NDArray[np.int64]]) -> tuple[Bytes, Numbers]:
        """The bytes of all tokens, laid end to end, and which sequence each is of."""
        tokens = np.concatenate([np.empty(0, np.int64), *sequences])
        lengths = self._lengths[tokens]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self._begins[tokens] - (ends - lengths), lengths)
        owner_of_token = np.repeat(np.arange(len(sequences)), [len(one) for one in sequences])
        return self._letters[places], np.repeat(owner_of_token, lengths)


def _spaced(letters: Bytes, owners: Numbers) -> tuple[Bytes, Numbers]:
    """The stream (S,) with one space before each word and one at the end; a space belongs to the word after it."""
    kind = _CLASS[letters]
    shown = kind != _NOTHING
    before, owner_before = np.append(_NOTHING, kind[:-1]), np.append(-1, owners[:-1])
    begins = (kind == _SIGN) | (before != _LETTER) | (owners != owner_before)
    letters, owners, begins = letters[shown], owners[shown], begins[shown]
    places = np.arange(len(letters)) + np.cumsum(begins)
    stream = np.full(len(letters) + int(begins.sum()) + 1, SPACE, np.uint8)
    stream[places] = letters
    of = np.full(len(stream), -1, np.int64)
    of[places] = owners
    of[places[begins] - 1] = owners[begins]
    return stream, of


def _polynomial(stream: Bytes) -> tuple[Hashes, Hashes]:
    """Σ byte · root^place up to each place (S+1,), and root^-place (S,), modulo 2^64."""
    powers = np.cumprod(np.append(np.uint64(1), np.full(len(stream) - 1, _ROOT, np.uint64)), dtype=np.uint64)
    inverse = np.uint64(pow(_ROOT, -1, 2**64))
    inverses = np.cumprod(np.append(np.uint64(1), np.full(len(stream) - 1, inverse, np.uint64)), dtype=np.uint64)
    terms = (stream.astype(np.uint64) + np.uint64(1)) * powers
    return np.append(np.uint64(0), np.cumsum(terms, dtype=np.uint64)), inverses


def _between(prefix: Hashes, unroot: Hashes, starts: Numbers, ends: Numbers) -> Hashes:
    """The hash of stream[start:end], the same wherever it lies."""
    hashes: Hashes = (prefix[ends] - prefix[starts]) * unroot[starts]
    return hashes


def _scattered(hashes: Hashes) -> Hashes:
    """Every bit of each made to depend on all: the finaliser of MurmurHash3 (public domain)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))
