"""The picture of `length.py`: false alarms on benign film against its length, a line a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 340, 56, 30, 40
PLOT = 400
COLOURS = {"any": "#c0392b", "share": "#7f8c8d", "top": "#1f6f8b", "recurrent": "#8e6bb0"}
NAMES = {10: "10 s", 60: "1 min", 600: "10 min", 7_200: "2 h"}


def write_plot(path: Path, rows: Sequence[Mapping[str, Any]], lengths: Sequence[int]) -> None:
    """An SVG: solid lines for 16 frames a film, dashed for every frame; bars are 95 % intervals."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{LEFT}" y="18">False alarms on benign film, by its length</text>',
    ]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + PLOT}" y1="{_y(value)}" y2="{_y(value)}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{_y(value) + 4}" text-anchor="end">{value:.0%}</text>')
    for place, length in enumerate(lengths):
        parts.append(f'<text x="{_x(place, lengths)}" y="{HEIGHT - 16}" text-anchor="middle">{NAMES[length]}</text>')
    for number, (rule, look) in enumerate(dict.fromkeys((row["rule"], row["look"]) for row in rows)):
        chosen = [row["false_alarms"] for row in rows if (row["rule"], row["look"]) == (rule, look)]
        parts += _line(chosen, lengths, COLOURS[rule], look != rows[0]["look"])
        at = TOP + 20 + 24 * number
        style = f'stroke="{COLOURS[rule]}" stroke-width="2"' + _dashes(look != rows[0]["look"])
        parts.append(f'<line x1="{LEFT + PLOT + 20}" x2="{LEFT + PLOT + 46}" y1="{at - 4}" y2="{at - 4}" {style}/>')
        parts.append(f'<text x="{LEFT + PLOT + 52}" y="{at}">{rule}, {look}</text>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _line(points: Sequence[Mapping[str, float]], lengths: Sequence[int], colour: str, dashed: bool) -> list[str]:
    path = " ".join(f"{_x(place, lengths)},{_y(one['rate'])}" for place, one in enumerate(points))
    bars = [
        f'<line x1="{_x(place, lengths)}" x2="{_x(place, lengths)}" y1="{_y(one["low"])}" y2="{_y(one["high"])}" '
        f'stroke="{colour}"/>'
        for place, one in enumerate(points)
    ]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{_dashes(dashed)}/>', *bars]


def _dashes(dashed: bool) -> str:
    return ' stroke-dasharray="5 4"' if dashed else ""


def _x(place: int, lengths: Sequence[int]) -> float:
    return round(LEFT + 20 + place * (PLOT - 40) / (len(lengths) - 1), 1)


def _y(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)
