"""Plots on two axes, as SVG without a library or script: lines, points, and intervals on one scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.plots import figure, label, text_width

PALETTE = ("#2f8f83", "#c8543a", "#4d83a6", "#c08a1e", "#8e3462", "#6f8a2f", "#7a6fb5")
"""Told apart by lightness and hue, on light and dark paper; dashes tell them apart without colour."""
DASHES = (None, "7 3", "2 3", "9 3 2 3", "5 2", "1 2", "12 4")
GREY = "#8d959c"

LEFT, TOP, BOTTOM, RIGHT = 50, 10, 40, 14
"""Pixels around the field of a plot."""

STEP = 28
"""Pixels from one interval to the next."""
WHOLE = 80
"""Characters of a name that is not cut."""


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dash: str | None = None
    dots: bool = False
    band: Sequence[tuple[float, float, float]] = ()
    """(x, low, high): shaded behind the line."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A point with what it says on hovering; `name` stands beside it where it is not empty."""

    x: float
    y: float
    words: str
    colour: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Whisker:
    """A value and its interval in a row of their own."""

    label: str
    value: float
    low: float
    high: float
    note: str
    colour: str


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows, between which values, and how they are written."""

    name: str
    low: float
    high: float
    form: str = "{:g}"
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0…1; one outside lies on the edge."""
        low, high, inside = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(inside / low) / math.log(high / low)
        return (inside - low) / (high - low)

    def ticks(self) -> list[float]:
        """About five round values within."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            return [
                one * 10.0**power for power in powers for one in (1, 3) if self.low <= one * 10.0**power <= self.high
            ]
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 10) for index in range(first, last + 1)]


def line_chart(
    title: str, lines: Sequence[Line], across: Axis, up: Axis, width: int = 460, height: int = 270
) -> Markup:
    """Lines in one field, with a legend below."""
    field = _Field(across, up, width, height)
    words = "; ".join(f"{one.name}: {_ends(one, across, up)}" for one in lines if one.points)
    bands = [field.band(one) for one in lines if one.band]
    drawn = figure(title, words, width, height, field.frame(), *bands, *(field.line(one) for one in lines))
    return join(drawn, legend([(one.name, one.colour, one.dash) for one in lines]))


def scatter(title: str, dots: Sequence[Dot], across: Axis, up: Axis, width: int = 620, height: int = 330) -> Markup:
    """Points in one field; the last ones lie on top."""
    field = _Field(across, up, width, height)
    words = "; ".join(dot.words for dot in dots)
    return figure(title, words, width, height, field.frame(), *(field.dot(one) for one in dots))


def whiskers(title: str, rows: Sequence[Whisker], across: Axis, width: int = 860, zero: bool = False) -> Markup:
    """A row for each value with its interval, noted to the right; with `zero`, a line where nothing differs."""
    left = round(max(text_width(one.label) for one in rows) + 16)
    right = width - round(max(text_width(one.note) for one in rows) + 12)
    bottom = len(rows) * STEP + TOP

    def place(value: float) -> float:
        return round(left + across.share(value) * (right - left - 10), 1)

    ticks = [_tick(place(value), bottom, across.form.format(value)) for value in across.ticks()]
    nothing = element("line", x1=place(0), x2=place(0), y1=TOP, y2=bottom, class_="zero") if zero else join()
    body = [_whisker(one, (index + 0.5) * STEP + TOP, left, right, place) for index, one in enumerate(rows)]
    name = element("text", across.name, x=right - 10, y=bottom + 34, text_anchor="end", class_="axis")
    words = "; ".join(f"{one.label}: {one.note}" for one in rows)
    return figure(title, words, width, bottom + BOTTOM, *ticks, nothing, *body, name)


def legend(entries: Sequence[tuple[str, str, str | None]]) -> Markup:
    """Names with the colour and dash of their lines."""
    keys = [element("li", _key(colour, dash), element("span", name)) for name, colour, dash in entries]
    return element("ul", *keys, class_="legend", aria_hidden="true")


class _Field:
    """The frame of a plot, and where values lie in it."""

    def __init__(self, across: Axis, up: Axis, width: int, height: int) -> None:
        self._across, self._up = across, up
        self._right, self._bottom = width - RIGHT, height - BOTTOM

    def frame(self) -> Markup:
        """Grid, ticks and the names of the axes."""
        tick = [_tick(self._x(one), self._bottom, self._across.form.format(one)) for one in self._across.ticks()]
        level = [self._level(one) for one in self._up.ticks()]
        names = (
            element("text", self._across.name, x=self._right, y=self._bottom + 34, text_anchor="end", class_="axis"),
            element("text", self._up.name, x=LEFT + 5, y=TOP + 12, class_="axis"),
        )
        return join(*tick, *level, *names)

    def line(self, line: Line) -> Markup:
        points = " ".join(f"{self._x(x)},{self._y(y)}" for x, y in line.points)
        dots = [
            element("circle", element("title", self._words(line.name, x, y)), cx=self._x(x), cy=self._y(y), r=3.2)
            for x, y in (line.points if line.dots else ())
        ]
        stroke = {"fill": "none", "stroke": line.colour, "stroke_width": "2", "stroke_dasharray": line.dash}
        drawn = element("polyline", element("title", line.name), points=points, **stroke)
        return join(drawn, element("g", *dots, fill=line.colour))

    def band(self, line: Line) -> Markup:
        upper = [f"{self._x(x)},{self._y(high)}" for x, _, high in line.band]
        lower = [f"{self._x(x)},{self._y(low)}" for x, low, _ in reversed(line.band)]
        return element("polygon", points=" ".join([*upper, *lower]), fill=line.colour, fill_opacity=0.15)

    def dot(self, dot: Dot) -> Markup:
        x, y = self._x(dot.x), self._y(dot.y)
        mark = element("circle", element("title", dot.words), cx=x, cy=y, r=6 if dot.name else 4, fill=dot.colour)
        near_edge = x > self._right - 8 * len(dot.name)
        if not dot.name:
            return mark
        anchor = "end" if near_edge else "start"
        return join(mark, label(dot.name, x - 9 if near_edge else x + 9, y + 4, anchor, WHOLE))

    def _x(self, value: float) -> float:
        return round(LEFT + self._across.share(value) * (self._right - LEFT), 1)

    def _y(self, value: float) -> float:
        return round(self._bottom - self._up.share(value) * (self._bottom - TOP), 1)

    def _level(self, value: float) -> Markup:
        y = self._y(value)
        rule = element("line", x1=LEFT, x2=self._right, y1=y, y2=y, class_="grid")
        return join(rule, label(self._up.form.format(value), LEFT - 6, y + 4, "end"))

    def _words(self, name: str, x: float, y: float) -> str:
        across, up = self._across, self._up
        return f"{name}: {across.name} {across.form.format(x)}, {up.name} {up.form.format(y)}"


def _whisker(row: Whisker, middle: float, left: float, right: float, place: Callable[[float], float]) -> Markup:
    low, high = place(row.low), place(row.high)
    ends = [element("line", x1=x, x2=x, y1=middle - 4, y2=middle + 4) for x in (low, high)]
    return join(
        label(row.label, left - 10, middle + 4, "end", WHOLE),
        element("g", element("line", x1=low, x2=high, y1=middle, y2=middle), *ends, stroke=row.colour, stroke_width=2),
        element("circle", element("title", row.note), cx=place(row.value), cy=middle, r=5, fill=row.colour),
        element("text", row.note, x=right, y=middle + 4, class_="number"),
    )


def _tick(x: float, bottom: float, name: str) -> Markup:
    rule = element("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="grid")
    return join(rule, element("text", name, x=x, y=bottom + 17, text_anchor="middle", class_="number"))


def _ends(line: Line, across: Axis, up: Axis) -> str:
    first, last = line.points[0], line.points[-1]
    told = (f"{up.form.format(y)} at {across.form.format(x)}" for x, y in (first, last))
    return f"{up.name} {', '.join(told)}"


def _key(colour: str, dash: str | None) -> Markup:
    stroke = {"stroke": colour, "stroke_width": "3", "stroke_dasharray": dash}
    line = element("line", x1=0, x2=26, y1=6, y2=6, **stroke)
    return element("svg", line, viewBox="0 0 26 12", width=26, height=12, class_="swatch", aria_hidden="true")
