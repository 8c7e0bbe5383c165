"""The report's sections, all but the contested items: each a function from the summary to HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capitoline.modalities.schema import UNRATED, Outcome
from capitoline.pipelines.printable import one_line
from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.plots import Bar, Cell, Segment, bar_chart, colours, heat_map, swatch
from capitoline.pipelines.report.summary import Agreement, Cause, Summary
from capitoline.pipelines.units import duration

GREY = "#8d959c"
OUTCOME_COLOURS = {
    Outcome.RATED: "#2f8f83",
    Outcome.ABSTAINED: "#d9a53c",
    Outcome.ABSENT: "#b9bfc4",
    Outcome.UNSUPPORTED: "#a05a9c",
    Outcome.ERROR: "#c4473a",
}
REVIEW_REASONS = 12


def rating_colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label, and grey for `UNRATED`, which is on no scale."""
    return dict(zip(labels, colours(len(labels)), strict=True)) | {UNRATED: GREY}


def key_figures(summary: Summary) -> Markup:
    figures = {
        "items": f"{summary.items:,}",
        "rated": f"{summary.rated:,}",
        "unrated": f"{summary.unrated:,}",
        "failed in part": f"{summary.failed:,}",
        "to review": f"{summary.review:,}",
        "wall time": duration(summary.wall_seconds),
        "items a second": f"{summary.items_per_second:,.1f}",
    }
    alarming = {"unrated": summary.unrated, "failed in part": summary.failed}
    entries = [
        element("div", element("dt", name), element("dd", value, class_="alarm" if alarming.get(name) else None))
        for name, value in figures.items()
    ]
    return element("dl", *entries, class_="figures")


def ratings(summary: Summary) -> Markup:
    shades = rating_colours(summary.labels)
    bars = [
        Bar(label, (Segment(label, count, shades[label]),), f"{count:,} · {_share(count, summary.items)}")
        for label, count in summary.by_rating.items()
    ]
    panels = [_panel("By rating", bar_chart("Items by rating", bars))]
    if summary.by_modality:
        panels.append(_panel("By modality and rating", _by_modality(summary)))
    note = "An item counts in every modality it has. Unrated is outside the scale: nobody could rate it."
    return join(element("h2", "Ratings"), element("p", note, class_="faint"), _panels(*panels))


def agreement(summary: Summary) -> Markup:
    panels = [_panel("What became of each expert's look", _outcomes(summary), _legend(OUTCOME_COLOURS))]
    if summary.agreement:
        grid = _panel("Equal ballots, share of the items that both rated", _agreement_map(summary.agreement))
        panels.append(grid)
    note = "Abstained: looked and could not tell. Absent: the item has no such part. Neither casts a ballot."
    return join(
        element("h2", "Experts"),
        element("p", note, class_="faint"),
        _panels(*panels),
        _pair_tables(summary) if summary.agreement else "",
    )


def review(summary: Summary) -> Markup:
    if not summary.review_reasons:
        return join()
    reasons = list(summary.review_reasons.items())[:REVIEW_REASONS]
    rows = [element("tr", element("td", f"{count:,}", class_="count"), element("td", why)) for why, count in reasons]
    head = element("tr", element("th", "items", class_="count"), element("th", "why a person should look"))
    more = len(summary.review_reasons) - len(reasons)
    rest = element("p", f"{more} rarer reasons are in summary.json.", class_="faint") if more else ""
    table = element("table", element("thead", head), element("tbody", *rows))
    return join(element("h2", "Reasons for review"), element("div", table, rest, class_="panel"))


def troubles(summary: Summary) -> Markup:
    if not summary.causes:
        return join(element("h2", "Failures"), element("p", "Every part of every item could be read and rated."))
    names = ("items", "outcome", "cause", "experts", "for example")
    head = element("tr", *(element("th", name, class_="count" if name == "items" else None) for name in names))
    table = element("table", element("thead", head), element("tbody", *map(_cause, summary.causes)))
    rest = f"Rarer causes, {summary.causes_left_out:,} items, are left out." if summary.causes_left_out else ""
    note = "A failed part is never a rating. The item is rated by its other parts, or not at all."
    return join(
        element("h2", "Failures by cause"),
        element("p", note, class_="faint"),
        element("div", table, element("p", rest, class_="faint") if rest else "", class_="panel"),
    )


def time(summary: Summary) -> Markup:
    total = sum(summary.cpu_seconds.values())
    if not total:
        return join()
    bars = [
        Bar(node, (Segment(node, spent, "#4d83a6"),), _time_note(spent, total, summary.items))
        for node, spent in summary.cpu_seconds.items()
    ]
    caption = f"CPU time by stage, {duration(total)} in all"
    return join(element("h2", "Time"), _panels(_panel(caption, bar_chart("CPU seconds by stage", bars, width=640))))


def _by_modality(summary: Summary) -> Markup:
    names = list(summary.by_rating)
    cells = [
        [_count(f"{modality}, {name}", counts[name], sum(counts.values())) for name in names]
        for modality, counts in summary.by_modality.items()
    ]
    return heat_map("Items by modality and rating", list(summary.by_modality), names, cells)


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


def _agreement_map(pairs: Sequence[Agreement]) -> Markup:
    names = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    known = {(pair.first, pair.second): pair for pair in pairs} | {(pair.second, pair.first): pair for pair in pairs}
    cells = [[_pair_cell(known.get((row, column)), row == column) for column in names] for row in names]
    return heat_map("Agreement of the experts", names, names, cells)


def _pair_cell(pair: Agreement | None, diagonal: bool) -> Cell:
    if pair is None:
        return Cell("–" if diagonal else "", 0.0, "")
    words = f"{pair.first} and {pair.second}: {pair.both:,} items, {pair.equal:.0%} equal"
    return Cell(f"{pair.equal:.0%}", pair.equal, f"{words}, {pair.difference:.2f} levels apart on average")


def _pair_tables(summary: Summary) -> Markup:
    panels = [_panel(_pair_caption(pair), _pair_map(pair, summary.labels)) for pair in summary.agreement]
    return element("details", element("summary", "Every pair, ballot by ballot"), _panels(*panels))


def _pair_caption(pair: Agreement) -> str:
    apart = f"{pair.both:,} items, {pair.difference:.2f} levels apart"
    return f"{pair.first} (rows) against {pair.second} (columns): {apart}"


def _pair_map(pair: Agreement, labels: Sequence[str]) -> Markup:
    cells = [
        [_count(f"{pair.first} {row}, {pair.second} {column}", pair.counts[i][j], pair.both)
         for j, column in enumerate(labels)]
        for i, row in enumerate(labels)
    ]  # fmt: skip
    return heat_map(f"Ballots of {pair.first} and {pair.second}", labels, labels, cells)


def _count(what: str, count: int, total: int) -> Cell:
    return Cell(f"{count:,}" if count else "·", count / total if total else 0.0, f"{what}: {count:,}")


def _cause(cause: Cause) -> Markup:
    examples = [element("div", element("bdi", one_line(example, 160)), class_="id") for example in cause.examples]
    return element(
        "tr",
        element("td", f"{cause.items:,}", class_="count"),
        element("td", cause.outcome),
        element("td", cause.reason),
        element("td", ", ".join(cause.experts)),
        element("td", *examples),
    )


def _legend(shades: Mapping[Outcome, str]) -> Markup:
    entries = [element("li", swatch(shade), element("span", name)) for name, shade in shades.items()]
    return element("ul", *entries, class_="legend", aria_hidden="true")


def _panel(caption: str, *children: Markup) -> Markup:
    return element("section", element("h3", caption), *children, class_="panel")


def _panels(*panels: Markup) -> Markup:
    return element("div", *panels, class_="panels")


def _time_note(spent: float, total: float, items: int) -> str:
    return f"{duration(spent)} · {_share(spent, total)} · {spent / max(items, 1) * 1_000:.1f} ms an item"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"
