"""Who moves from which rating to which, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from capitoline.pipelines.moves import Moves
from capitoline.pipelines.printable import one_line

SHOWN = 10
"""Items that are named."""


def moves_table(moves: Moves, moved: Sequence[tuple[str, str, str]]) -> RenderableType:
    """A matrix of counts, and the first of `moved`: item, rating before, rating after."""
    lines = [Text(f"  {one_line(item, 80)}: {before} → {after}") for item, before, after in moved[:SHOWN]]
    if len(moved) > SHOWN:
        lines.append(Text(f"  and {len(moved) - SHOWN:,} more; --out writes them all", "dim"))
    return Group(_matrix(moves), Text(moves.sentence()), *lines)


def _matrix(moves: Moves) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("rated ↓ now →")
    for label in moves.labels:
        table.add_column(label, justify="right")
    for label, row in zip(moves.labels, moves.counts, strict=True):
        table.add_row(
            label,
            *(
                Text(f"{count:,}" if count else "·", _style(label, now))
                for now, count in zip(moves.labels, row, strict=True)
            ),
        )
    return table


def _style(before: str, after: str) -> str:
    return "dim" if before == after else "bold"
