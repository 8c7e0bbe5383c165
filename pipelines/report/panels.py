"""What the report's sections are put together from: panels, notes, tables, counted fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from capitoline.modalities.schema import UNRATED
from capitoline.pipelines.report.markup import Child, Markup, element, join
from capitoline.pipelines.report.plots import Cell, colours

GREY = "#8d959c"


def rating_colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label, and grey for `UNRATED`, which is on no scale."""
    return dict(zip(labels, colours(len(labels)), strict=True)) | {UNRATED: GREY}


def note(words: str) -> Markup:
    """What a reader should know before the figures; nothing if there are no words."""
    return element("p", words, class_="faint") if words else join()


def panel(caption: str, *children: Markup) -> Markup:
    return element("section", element("h3", caption) if caption else "", *children, class_="panel")


def panels(*children: Markup) -> Markup:
    """Side by side where there is room."""
    return element("div", *children, class_="panels")


def table(names: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """A table whose first column holds counts."""
    head = element("tr", *(element("th", name, class_=_column(index)) for index, name in enumerate(names)))
    body = [element("tr", *(element("td", cell, class_=_column(i)) for i, cell in enumerate(row))) for row in rows]
    return element("table", element("thead", head), element("tbody", *body))


def count_cell(what: str, count: int, total: int) -> Cell:
    """A heat map's field, shaded by its share of `total`; a dot for none, so that the others stand out."""
    return Cell(f"{count:,}" if count else "·", count / total if total else 0.0, f"{what}: {count:,}")


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _column(index: int) -> str | None:
    return "count" if index == 0 else None
