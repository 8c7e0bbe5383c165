"""Tables of the page: names to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence

from capitoline.pipelines.report.markup import Child, Markup, element


def ranking(head: Sequence[str], rows: Sequence[Sequence[Child]], names: int = 1, chosen: int = -1) -> Markup:
    """A table of names, left, and numbers, right; one row may stand out."""

    def cells(kind: str, row: Sequence[Child]) -> list[Markup]:
        return [element(kind, one, class_="name" if place < names else None) for place, one in enumerate(row)]

    body = [
        element("tr", *cells("td", row), class_="chosen" if place == chosen else None) for place, row in enumerate(rows)
    ]
    return element(
        "table", element("thead", element("tr", *cells("th", head))), element("tbody", *body), class_="ranking"
    )
