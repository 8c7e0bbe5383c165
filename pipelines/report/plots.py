"""The report's plots: small functions that return SVG, no library and no script.

Every plot carries a `<title>` and a `<desc>` that says its numbers in words. Text takes its
colour from the style sheet, so the plots follow light, dark and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capitoline.pipelines.printable import one_line
from capitoline.pipelines.report.markup import Markup, element, join

ROW = 26
"""Pixels from one bar to the next."""
CHARACTER, CAPITAL = 7.2, 9.6
"""Pixels that a small letter or digit, and a capital, take at 13 px: what browsers' sans-serifs need at most."""
LABEL_CHARACTERS = 22
RAMP = ((77, 163, 154), (158, 168, 74), (217, 149, 56), (200, 84, 58), (142, 52, 98))
"""RGB from the mildest label to the most severe: darker and warmer, told apart by lightness too."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a bar: how much, of what, in which colour."""

    name: str
    value: float
    colour: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart; several segments are stacked. `note` stands at its end."""

    label: str
    segments: tuple[Segment, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A field of a heat map: `strength` 0…1 shades it, `words` tell more on hovering, `alarm` is the other colour."""

    text: str
    strength: float
    words: str
    alarm: bool = False


def colours(count: int) -> list[str]:
    """`count` colours along the ramp, mildest first, as `#rrggbb`."""
    return [_colour(index / max(count - 1, 1)) for index in range(count)]


def bar_chart(title: str, bars: Sequence[Bar], width: int = 520) -> Markup:
    """Horizontal bars on one scale, labels to the left and notes at their ends."""
    left = label_width([bar.label for bar in bars])
    right = max((text_width(bar.note) for bar in bars), default=0) + 8
    longest = max((sum(segment.value for segment in bar.segments) for bar in bars), default=0) or 1
    scale = max(width - left - right, 60) / longest
    rows = [_bar(bar, index * ROW, left, scale) for index, bar in enumerate(bars)]
    description = "; ".join(f"{bar.label}: {bar.note}" for bar in bars)
    return figure(title, description, width, len(bars) * ROW + 4, *rows)


def heat_map(title: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell]]) -> Markup:
    """A grid of shaded fields with their numbers. `cells` is indexed by row, then column."""
    left, field, height = label_width(rows), 74, 34
    heads = [label(name, left + (index + 0.5) * field, 16, "middle", 10) for index, name in enumerate(columns)]
    body = [
        join(
            label(name, left - 8, 24 + (row + 0.6) * height, "end"),
            *(
                _field(cell, left + column * field, 24 + row * height, field, height)
                for column, cell in enumerate(cells[row])
            ),
        )
        for row, name in enumerate(rows)
    ]
    words = "; ".join(cell.words for line in cells for cell in line if cell.words)
    return figure(title, words, left + len(columns) * field + 2, 26 + len(rows) * height, *heads, *body)


def reliability_diagram(title: str, points: Sequence[tuple[float, float, int]]) -> Markup:
    """How often a probability comes true: (stated, found, items) each a disc whose area grows with its items."""
    side, left, top = 240, 44, 10
    most = max((items for _, _, items in points), default=1)
    edge: dict[str, str | float] = {
        "x1": left,
        "y1": top + side,
        "x2": left + side,
        "y2": top,
        "stroke": "currentColor",
        "opacity": 0.4,
    }
    frame: dict[str, str | float] = {
        "x": left,
        "y": top,
        "width": side,
        "height": side,
        "stroke": "currentColor",
        "stroke_opacity": 0.25,
    }
    marks = [
        element(
            "circle",
            element("title", f"stated {stated:.2f}, found {found:.2f}, items {items:,}"),
            cx=round(left + stated * side, 1),
            cy=round(top + (1 - found) * side, 1),
            r=round(3 + 9 * (items / most) ** 0.5, 1),
            class_="field",
            fill_opacity=0.75,
        )
        for stated, found, items in points
    ]
    ticks = [
        join(
            label(f"{value:g}", left + value * side, top + side + 18, "middle"),
            label(f"{value:g}", left - 8, top + (1 - value) * side + 5, "end"),
        )
        for value in (0.0, 0.5, 1.0)
    ]
    axes = join(element("rect", fill="none", **frame), element("line", stroke_dasharray="4 4", **edge), *ticks)
    words = "; ".join(f"stated {stated:.2f}: found {found:.2f} of {items:,}" for stated, found, items in points)
    return figure(title, words, left + side + 14, top + side + 26, axes, *marks)


def strip(title: str, segments: Sequence[Segment]) -> Markup:
    """One stacked bar without labels that stretches to its box: a ballot's probabilities."""
    scale = 100 / (sum(segment.value for segment in segments) or 1)
    description = ", ".join(f"{segment.name} {segment.value:.2f}" for segment in segments)
    stretch = {"class_": "strip", "preserveAspectRatio": "none"}
    return figure(title, description, 100, 10, _segments(segments, 0, 0, scale, 10), **stretch)


def swatch(colour: str) -> Markup:
    """A square of one colour, to stand before the name that it stands for."""
    square = element("rect", width=12, height=12, rx=3, fill=colour)
    return element("svg", square, viewBox="0 0 12 12", width=12, height=12, class_="swatch", aria_hidden="true")


def _bar(bar: Bar, top: float, left: float, scale: float) -> Markup:
    end = left + sum(segment.value for segment in bar.segments) * scale
    return join(
        label(bar.label, left - 8, top + 17, "end"),
        _segments(bar.segments, left, top + 4, scale, ROW - 8),
        element("text", bar.note, x=round(end + 6, 1), y=top + 17, class_="number"),
    )


def _segments(segments: Sequence[Segment], left: float, top: float, scale: float, height: float) -> Markup:
    drawn = []
    for segment in segments:
        width = segment.value * scale
        words = element("title", f"{segment.name}: {round(segment.value, 3):,}")
        if width > 0:
            box = {"x": round(left, 2), "y": top, "width": round(width, 2), "height": height}
            drawn.append(element("rect", words, fill=segment.colour, **box))
        left += width
    return join(*drawn)


def _field(cell: Cell, left: float, top: float, width: float, height: float) -> Markup:
    box = {"x": left + 1, "y": top + 1, "width": width - 2, "height": height - 2, "rx": 3}
    shade = "field alarm" if cell.alarm else "field"
    return element(
        "g",
        element("title", cell.words) if cell.words else "",
        element("rect", class_=shade, fill_opacity=round(0.06 + 0.62 * cell.strength, 3), **box),
        element("text", cell.text, x=left + width / 2, y=top + height * 0.62, text_anchor="middle", class_="number"),
    )


def label(name: str, x: float, y: float, anchor: str, length: int = LABEL_CHARACTERS) -> Markup:
    """Text at a place; a long name is cut, and whole on hovering."""
    short = one_line(name, length)
    return element("text", element("title", name), short, x=round(x, 1), y=round(y, 1), text_anchor=anchor)


def label_width(labels: Sequence[str]) -> float:
    """Pixels that the longest of the labels takes, as cut, with a gap."""
    return round(max((text_width(label[:LABEL_CHARACTERS]) for label in labels), default=0) + 14)


def text_width(text: str) -> float:
    return sum(CAPITAL if character.isupper() else CHARACTER for character in text)


def figure(title: str, description: str, width: float, height: float, *children: Markup, **attributes: str) -> Markup:
    """An SVG with its title, and its numbers in words for those who do not see it."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        **attributes,
    )


def _colour(position: float) -> str:
    index = min(int(position * (len(RAMP) - 1)), len(RAMP) - 2)
    share = position * (len(RAMP) - 1) - index
    mixed = (round(a + (b - a) * share) for a, b in zip(RAMP[index], RAMP[index + 1], strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
