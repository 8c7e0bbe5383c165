"""What one decider rates and another does: who would move, and which way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capitoline.modalities.schema import UNRATED
from capitoline.pipelines.units import counted

MOVES_FILE = "moves.jsonl"
"""Of a replay: a line for each item that would move."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Items by the rating of one decider, then that of the other."""

    labels: tuple[str, ...]
    """The scale, mildest first, and `UNRATED`."""
    counts: tuple[tuple[int, ...], ...]
    """(K+1, K+1) items: rows are the rating that stands, columns the other decider's."""

    @property
    def items(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def moved(self) -> int:
        return self.milder + self.stricter + self.withheld + self.given

    @property
    def milder(self) -> int:
        """Rated by both, and more mildly by the other."""
        return self._rated(-1)

    @property
    def stricter(self) -> int:
        """Rated by both, and more severely by the other."""
        return self._rated(1)

    @property
    def withheld(self) -> int:
        """Rated, and unrated by the other."""
        return sum(row[-1] for row in self.counts[:-1])

    @property
    def given(self) -> int:
        """Unrated, and rated by the other."""
        return sum(self.counts[-1][:-1])

    def sentence(self) -> str:
        """For a person: how many would move, and which way."""
        ways = {
            "milder": self.milder,
            "more severe": self.stricter,
            f"to {UNRATED}": self.withheld,
            f"from {UNRATED}": self.given,
        }
        listed = ", ".join(f"{count:,} {way}" for way, count in ways.items() if count)
        return f"{self.moved:,} of {counted(self.items, 'item')} would move" + (f": {listed}" if listed else "")

    def _rated(self, way: int) -> int:
        return sum(
            count
            for before, row in enumerate(self.counts[:-1])
            for after, count in enumerate(row[:-1])
            if (after > before) - (after < before) == way
        )


def count_moves(labels: Sequence[str], pairs: Mapping[tuple[str, str], int]) -> Moves:
    """`pairs` counts items by (rating, the other decider's rating)."""
    shown = (*labels, UNRATED)
    return Moves(shown, tuple(tuple(pairs.get((before, after), 0) for after in shown) for before in shown))


def pairs_of(before: Sequence[str], after: Sequence[str | None]) -> Counter[tuple[str, str]]:
    """Items by both ratings; those that the other decider did not look at are left out."""
    return Counter((one, other) for one, other in zip(before, after, strict=True) if other is not None)
