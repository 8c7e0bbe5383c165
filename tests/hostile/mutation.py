"""Files made hostile: each mutant from two parents, by one operation, and by chance that a seed repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from tests.hostile.fields import Field, length_fields, overwritten

NUMBERS = (0, 1, 2, 3, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 60_000, 0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
           (1 << 63) - 1, (1 << 64) - 1)  # fmt: skip
"""Where sizes overflow, turn negative or run out."""

Operation = Callable[[Random, bytes, bytes], bytes]
"""(chance, the file, another file) → the mutant."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A hostile file and where it comes from."""

    name: str
    """Its number, the operation and the parent's name, which ends as the parent's does."""
    operation: str
    parent: str
    data: bytes


def mutants(parents: Mapping[str, bytes], seed: int, count: int, first: int = 0) -> Iterator[Mutant]:
    """Mutants number `first` to `first + count - 1` of a seed; each depends on the seed and its number only."""
    names = sorted(parents)
    for number in range(first, first + count):
        chance = Random(f"{seed}:{number}")
        parent, other, operation = chance.choice(names), chance.choice(names), chance.choice(list(OPERATIONS))
        data = OPERATIONS[operation](chance, parents[parent], parents[other])
        yield Mutant(f"{number:05}-{operation}-{parent.replace('/', '-')}", operation, parent, data)


def bits(chance: Random, data: bytes, other: bytes) -> bytes:
    """Up to 64 bits flipped, half of the time all near the beginning, where headers are."""
    changed = bytearray(data)
    reach = chance.choice((64, len(data))) if data else 0
    for _ in range(chance.randint(1, 64) if data else 0):
        changed[chance.randrange(min(reach, len(data)))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def stretch(chance: Random, data: bytes, other: bytes) -> bytes:
    """A stretch of zeros, ones or noise."""
    start, end = _stretch(chance, data)
    filling = chance.choice((bytes(end - start), b"\xff" * (end - start), chance.randbytes(end - start)))
    return data[:start] + filling + data[end:]


def cut(chance: Random, data: bytes, other: bytes) -> bytes:
    return data[: int(chance.random() * len(data))]


def beheaded(chance: Random, data: bytes, other: bytes) -> bytes:
    return data[min(len(data), chance.choice((1, 4, 16, 512, len(data) // 2))) :]


def lacking(chance: Random, data: bytes, other: bytes) -> bytes:
    """Without a stretch from the middle."""
    start, end = _stretch(chance, data)
    return data[:start] + data[end:]


def repeated(chance: Random, data: bytes, other: bytes) -> bytes:
    """A stretch many times over, as long as the file stays below a megabyte or so."""
    start, end = _stretch(chance, data)
    times = min(chance.choice((2, 10, 1_000)), (1 << 20) // max(1, end - start) + 1)
    return data[:start] + data[start:end] * times + data[end:]


def spliced(chance: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another."""
    return data[: int(chance.random() * len(data))] + other[int(chance.random() * len(other)) :]


def grafted(chance: Random, data: bytes, other: bytes) -> bytes:
    """A stretch of another file in place of an own one."""
    start, end = _stretch(chance, data)
    theirs = _stretch(chance, other)
    return data[:start] + other[slice(*theirs)] + data[end:]


def lengths(chance: Random, data: bytes, other: bytes) -> bytes:
    """One to three length fields overwritten; of an unknown format any four bytes."""
    for _ in range(chance.randint(1, 3)):
        places = length_fields(data) or [Field(chance.randrange(len(data) - 3), 4, "<")] if len(data) > 3 else []
        if places:
            data = overwritten(data, chance.choice(places), chance.choice((*NUMBERS, chance.getrandbits(32))))
    return data


def appended(chance: Random, data: bytes, other: bytes) -> bytes:
    """Two files in one."""
    return data + other


def hollowed(data: bytes, seed: int) -> bytes:
    """A file's first hundred bytes, which say what it is, and noise in place of the rest."""
    return data[:100] + Random(seed).randbytes(max(0, len(data) - 100))


def _stretch(chance: Random, data: bytes) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((1, 4, 64, 1_000, 20_000)))


OPERATIONS: Mapping[str, Operation] = {
    "bits": bits,
    "stretch": stretch,
    "cut": cut,
    "beheaded": beheaded,
    "lacking": lacking,
    "repeated": repeated,
    "spliced": spliced,
    "grafted": grafted,
    "lengths": lengths,
    "lengths-again": lengths,
    "appended": appended,
}
"""Lengths twice, for they reach deepest into a decoder."""
