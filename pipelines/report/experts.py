"""The report's section on the experts: what became of each one's look, and how they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capitoline.modalities.schema import Outcome
from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.panels import count_cell, note, panel, panels
from capitoline.pipelines.report.plots import Bar, Cell, Segment, bar_chart, heat_map, swatch
from capitoline.pipelines.report.summary import Agreement, Summary
from capitoline.pipelines.units import counted

OUTCOME_COLOURS = {
    Outcome.RATED: "#2f8f83",
    Outcome.ABSTAINED: "#d9a53c",
    Outcome.ABSENT: "#b9bfc4",
    Outcome.UNSUPPORTED: "#a05a9c",
    Outcome.ERROR: "#c4473a",
}


def experts(summary: Summary) -> Markup:
    """Outcomes by expert; agreement by pair, its ballots folded away."""
    shown = [panel("What became of each expert's look", _outcomes(summary), _legend(OUTCOME_COLOURS))]
    if summary.agreement:
        shown.append(panel("Equal ballots, share of the items that both rated", _agreement_map(summary.agreement)))
    return join(
        note("Abstained: looked and could not tell. Absent: the item has no such part. Neither casts a ballot."),
        panels(*shown),
        _pairs(summary) if summary.agreement else "",
    )


def _outcomes(summary: Summary) -> Markup:
    bars = [
        Bar(
            expert,
            tuple(Segment(outcome, counts.get(outcome, 0), shade) for outcome, shade in OUTCOME_COLOURS.items()),
            f"{counts.get(Outcome.RATED, 0):,} rated",
        )
        for expert, counts in summary.outcomes.items()
    ]
    return bar_chart("Outcomes by expert", bars)


def _legend(shades: Mapping[Outcome, str]) -> Markup:
    entries = [element("li", swatch(shade), element("span", name)) for name, shade in shades.items()]
    return element("ul", *entries, class_="legend", aria_hidden="true")


def _agreement_map(pairs: Sequence[Agreement]) -> Markup:
    names = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    known = {(pair.first, pair.second): pair for pair in pairs} | {(pair.second, pair.first): pair for pair in pairs}
    cells = [[_pair_cell(known.get((row, column)), row == column) for column in names] for row in names]
    return heat_map("Agreement of the experts", names, names, cells)


def _pair_cell(pair: Agreement | None, diagonal: bool) -> Cell:
    if pair is None:
        return Cell("–" if diagonal else "", 0.0, "")
    words = f"{pair.first} and {pair.second}: {counted(pair.both, 'item')}, {pair.equal:.0%} equal"
    return Cell(f"{pair.equal:.0%}", pair.equal, f"{words}, {pair.difference:.2f} levels apart on average")


def _pairs(summary: Summary) -> Markup:
    shown = [panel(_pair_caption(pair), _pair_map(pair, summary.labels)) for pair in summary.agreement]
    return element("details", element("summary", "Every pair, ballot by ballot"), panels(*shown))


def _pair_caption(pair: Agreement) -> str:
    apart = f"{counted(pair.both, 'item')}, {pair.difference:.2f} levels apart"
    return f"{pair.first} (rows) against {pair.second} (columns): {apart}"


def _pair_map(pair: Agreement, labels: Sequence[str]) -> Markup:
    cells = [
        [count_cell(f"{pair.first} {row}, {pair.second} {column}", pair.counts[i][j], pair.both)
         for j, column in enumerate(labels)]
        for i, row in enumerate(labels)
    ]  # fmt: skip
    return heat_map(f"Ballots of {pair.first} and {pair.second}", labels, labels, cells)
