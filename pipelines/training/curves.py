"""Losses over the epochs as a picture: plain SVG, no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.plots import colours

WIDTH, HEIGHT, MARGIN, LEGEND = 640, 320, 40, 200
"""Pixels: of the picture, around the lines, and of the names to their right."""


def curves(epochs: Sequence[Mapping[str, Any]]) -> str:
    """The loss on the training rows and each head's on the selection rows, one line each."""
    series = {"training": [epoch["loss"] for epoch in epochs]}
    for head in epochs[-1]["heads"] if epochs else ():
        series[f"selection: {head}"] = [epoch["heads"][head] for epoch in epochs]
    highest = max((value for line in series.values() for value in line), default=1.0) or 1.0
    drawn = [
        _line(name, values, highest, colour, row)
        for row, ((name, values), colour) in enumerate(zip(series.items(), colours(len(series)), strict=True))
    ]
    words = "; ".join(f"{name}: {', '.join(f'{one:.3f}' for one in values)}" for name, values in series.items())
    axes = join(
        element("path", d=f"M{MARGIN},{MARGIN / 2}V{HEIGHT - MARGIN}H{WIDTH - LEGEND}", fill="none", stroke="#888"),
        element("text", f"{highest:.2f}", x=4, y=MARGIN / 2 + 4),
        element("text", "0", x=MARGIN - 14, y=HEIGHT - MARGIN + 4),
        element("text", f"{len(epochs)} epochs", x=(WIDTH - LEGEND) / 2, y=HEIGHT - 12),
    )
    picture = element(
        "svg",
        element("title", "Losses"),
        element("desc", words),
        axes,
        *drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        font_family="sans-serif",
        font_size=12,
        role="img",
    )
    return str(picture).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _line(name: str, values: Sequence[float], highest: float, colour: str, row: int) -> Markup:
    step = (WIDTH - LEGEND - MARGIN) / max(len(values) - 1, 1)
    height = HEIGHT - 1.5 * MARGIN
    points = " ".join(
        f"{MARGIN + step * epoch:.1f},{MARGIN / 2 + height * (1 - value / highest):.1f}"
        for epoch, value in enumerate(values)
    )
    return join(
        element("polyline", points=points, fill="none", stroke=colour, stroke_width=2),
        element("text", name, x=WIDTH - LEGEND + 10, y=MARGIN / 2 + 16 * row, fill=colour),
    )
