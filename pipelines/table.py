"""The short table that `capitoline rate` ends with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from capitoline.modalities.schema import UNRATED
from capitoline.pipelines.printable import one_line, printable
from capitoline.pipelines.report.summary import Summary
from capitoline.pipelines.terminal import label_colour, label_style
from capitoline.pipelines.units import counted, duration

BAR = 28
"""Characters of the longest bar."""
CAUSES_SHOWN = 3


def summary_table(summary: Summary, report: Path | None) -> RenderableType:
    """Items by rating, the commonest failures, the time, and where the report lies."""
    return Group(_ratings(summary), *_notes(summary, report))


def _ratings(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("rating")
    table.add_column("items", justify="right")
    table.add_column("")
    most = max(summary.by_rating.values(), default=0) or 1
    for label, count in summary.by_rating.items():
        severity = None if label == UNRATED else summary.labels.index(label)
        # A label with any item at all shows at least a sliver.
        bar = Text("▇" * max(round(count / most * BAR), int(count > 0)), label_colour(severity, len(summary.labels)))
        if count or label != UNRATED:
            table.add_row(Text(label, label_style(severity, len(summary.labels))), f"{count:,}", bar)
    return table


def _notes(summary: Summary, report: Path | None) -> Iterator[Text]:
    yield Text(
        f"{counted(summary.items, 'item')}, {summary.rated:,} rated, {summary.unrated:,} unrated, "
        f"{summary.failed:,} failed in part, {summary.review:,} to review"
    )
    if summary.shadow is not None:
        yield Text(f"with the shadow, {summary.shadow.sentence()}")
    for cause in summary.causes[:CAUSES_SHOWN]:
        example = f" ({one_line(cause.examples[0], 60)})" if cause.examples else ""
        yield Text(f"  {cause.items:,} × {cause.outcome}: {printable(cause.reason)}{example}", "red")
    if len(summary.causes) > CAUSES_SHOWN:
        yield Text(f"  and {counted(len(summary.causes) - CAUSES_SHOWN, 'more cause')}, in the report", "red")
    speed = f"{summary.items_per_second:,.1f} items/s" if summary.items_per_second else "nothing was left to rate"
    yield Text(f"{duration(summary.wall_seconds)}, {speed}", "dim")
    if report is not None:
        yield Text(f"report: {printable(str(report))}")
