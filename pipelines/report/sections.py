"""The report's plainer sections: each a function from the summary to HTML, empty if there is nothing to say."""

from __future__ import annotations

from collections.abc import Iterable

from capitoline.pipelines.printable import one_line
from capitoline.pipelines.report.markup import Child, Markup, element, join
from capitoline.pipelines.report.panels import count_cell, note, panel, panels, rating_colours, share, table
from capitoline.pipelines.report.plots import Bar, Segment, bar_chart, heat_map
from capitoline.pipelines.report.summary import Cause, Summary
from capitoline.pipelines.units import counted, duration

REVIEW_REASONS = 12
STAGE_COLOUR = "#4d83a6"


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
    """Items by rating, and by modality and rating."""
    shades = rating_colours(summary.labels)
    bars = [
        Bar(label, (Segment(label, count, shades[label]),), f"{count:,} · {share(count, summary.items)}")
        for label, count in summary.by_rating.items()
    ]
    shown = [panel("By rating", bar_chart("Items by rating", bars))]
    if summary.by_modality:
        shown.append(panel("By modality and rating", _by_modality(summary)))
    words = "An item counts in every modality it has. Unrated is outside the scale: nobody could rate it."
    return join(note(words), panels(*shown))


def failures(summary: Summary) -> Markup:
    """What could not be read or rated, by cause."""
    if not summary.causes:
        return note("Every part of every item could be read and rated.")
    causes = table(("items", "outcome", "cause", "experts", "for example"), map(_cause, summary.causes))
    rest = f"Rarer causes, {counted(summary.causes_left_out, 'item')}, are left out." if summary.causes_left_out else ""
    words = "A failed part is never a rating, and one that nobody could look at withholds the rating of its item."
    return join(note(words), panel("", causes, note(rest)))


def review(summary: Summary) -> Markup:
    """Why a person should look, by reason."""
    reasons = list(summary.review_reasons.items())
    if not reasons:
        return note("No item needs a person's look.")
    more = len(reasons) - REVIEW_REASONS
    rows = [
        (f"{count:,}", reason, _named(summary.review_examples[reason])) for reason, count in reasons[:REVIEW_REASONS]
    ]
    drawn = table(("items", "why a person should look", "for example"), rows)
    where = note("Every item with its reasons: the column `review` of ratings/, and `capitoline explain OUT ITEM`.")
    return panel("", drawn, note(_rarer(more)), where)


def shadow(summary: Summary) -> Markup:
    """What the second decider would change; nothing without one."""
    moves = summary.shadow
    if moves is None:
        return join()
    names = [f"shadow {label}" for label in moves.labels]
    cells = [
        [count_cell(f"{label}, {name}", count, sum(row)) for name, count in zip(names, row, strict=True)]
        for label, row in zip(moves.labels, moves.counts, strict=True)
    ]
    drawn = heat_map("Items by rating and by the shadow's rating", moves.labels, names, cells)
    return join(note("A second decider that changes nothing."), panels(panel(moves.sentence(), drawn)))


def time(summary: Summary) -> Markup:
    """CPU time by stage."""
    total = sum(summary.cpu_seconds.values())
    bars = [
        Bar(node, (Segment(node, spent, STAGE_COLOUR),), _spent(spent, total, summary.items))
        for node, spent in summary.cpu_seconds.items()
    ]
    caption = f"CPU time by stage, {duration(total)} in all"
    return panels(panel(caption, bar_chart("CPU seconds by stage", bars, width=640))) if bars else join()


def _by_modality(summary: Summary) -> Markup:
    names = list(summary.by_rating)
    cells = [
        [count_cell(f"{modality}, {name}", counts[name], sum(counts.values())) for name in names]
        for modality, counts in summary.by_modality.items()
    ]
    return heat_map("Items by modality and rating", list(summary.by_modality), names, cells)


def _cause(cause: Cause) -> tuple[Child, ...]:
    return f"{cause.items:,}", cause.outcome, cause.reason, ", ".join(cause.experts), _named(cause.examples)


def _named(examples: Iterable[str]) -> Markup:
    """Ids of items, one below the other."""
    return join(*(element("div", element("bdi", one_line(example, 160)), class_="id") for example in examples))


def _rarer(count: int) -> str:
    return f"{count} rarer reasons are in summary.json." if count > 0 else ""


def _spent(spent: float, total: float, items: int) -> str:
    return f"{duration(spent)} · {share(spent, total)} · {spent / max(items, 1) * 1_000:.1f} ms an item"
