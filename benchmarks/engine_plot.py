"""The engine benchmark as a picture: how many times as fast as each peer, drawn as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from harness import RESULTS, Row

LEFT, WIDTH, STEP = 500, 830, 26
"""Pixels: where the bars begin, where the picture ends, and from one bar to the next."""
MET, MISSED, PLAIN = "#2e7d52", "#b3542e", "#5b6b8c"


def plot(rows: Sequence[Row]) -> None:
    """Write `results/engine.svg`: one bar a row, on a logarithmic scale, a tick where it must reach."""
    drawn = [row for row in rows if row.ratio is not None]
    largest = max(16.0, *(row.ratio or 1 for row in drawn))

    def position(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - 60) * max(0.0, math.log2(2 * ratio)) / math.log2(2 * largest)

    height = STEP * len(drawn) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for index, row in enumerate(drawn):
        lines += _bar(row, 12 + index * STEP, position)
    lines.append(f'<line x1="{position(1):.0f}" x2="{position(1):.0f}" y1="4" y2="{height - 18}" stroke="#222"/>')
    lines.append(f'<text x="{position(1):.0f}" y="{height - 5}" text-anchor="middle">as fast</text></svg>')
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "engine.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _bar(row: Row, top: int, position: Callable[[float], float]) -> list[str]:
    assert row.ratio is not None
    colour = {True: MET, False: MISSED, None: PLAIN}[row.met]
    end, middle = position(row.ratio), top + 12
    found = [
        f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(f"{row.work} ÷ {row.peer}")}</text>',
        f'<rect x="{LEFT}" y="{top}" width="{end - LEFT:.0f}" height="16" fill="{colour}"/>',
        f'<text x="{end + 5:.0f}" y="{middle}">{row.ratio:.2f}</text>',
    ]
    if row.must_be:
        tick = f"{position(float(row.must_be.split()[1])):.0f}"
        span = f'x1="{tick}" x2="{tick}" y1="{top - 3}" y2="{top + 19}"'
        found.append(f'<line {span} stroke="#222" stroke-dasharray="2"/>')
    return found
