"""The one table of an evaluation, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from capitoline.configs.evaluation import Mark
from capitoline.pipelines.evaluation.intervals import Interval
from capitoline.pipelines.evaluation.result import Result

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = (
    "task",
    "weights",
    "items",
    "QWK",
    "macro-F1",
    "AUPRC",
    "floor",
    "must reach",
    "",
    "down-class",
    "ECE",
    "docs/s",
)
LEFT = ("task", "weights", "")
LEGEND = (
    "Validation rows, 95 % intervals in brackets; the floors are of rows kept apart. Floor and what must be reached: "
    "QWK / macro-F1, and labels whose recall must exceed a number. For harm categories macro-F1 is at thresholds "
    "chosen on rows held out of training. docs/s: documents a CPU second on this machine."
)
MET = {True: "met", False: "missed", None: ""}


def table_of(results: Sequence[Result]) -> Table:
    """For the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(caption=LEGEND, caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in LEFT else "right")
    for one in results:
        table.add_row(*cells(one))
    return table


def markdown(results: Sequence[Result]) -> str:
    """For the README."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(cells, results)]
    return "\n".join(f"| {' | '.join(one.replace('|', '∣') for one in line)} |" for line in lines) + f"\n\n{LEGEND}\n"


def cells(result: Result) -> tuple[str, ...]:
    """A row's fields, in the order of `HEADINGS`."""
    ordered = result.ordered
    between = ordered.intervals if ordered else None
    return (
        result.task,
        result.weights if result.model == "rwkv" else f"{result.weights} ({result.model})",
        f"{result.count:,}" if result.count else "",
        with_interval(result.kappa, between.kappa if between else None),
        with_interval(result.macro_f1, between.macro_f1 if between else None),
        figure(result.average_precision),
        mark(result.floor),
        mark(result.target),
        result.note or MET[result.met],
        figure(ordered.figures.down_rate) if ordered else "",
        figure(ordered.figures.calibration_error) if ordered else "",
        figure(result.documents_a_second, ",.0f"),
    )


def figure(value: float | None, form: str = ".3f") -> str:
    """Nothing where it is undefined."""
    return "" if value is None or value != value else format(value, form)


def with_interval(value: float, between: Interval | None) -> str:
    if between is None or between.low != between.low:
        return figure(value)
    return f"{figure(value)} [{between.low:.2f}–{between.high:.2f}]" if value == value else ""


def mark(asked: Mark) -> str:
    """QWK / macro-F1, and the recalls that must be exceeded."""
    both = f"{figure(asked.kappa) or '–'} / {figure(asked.macro_f1) or '–'}"
    parts = [] if asked.kappa is None and asked.macro_f1 is None else [both.removesuffix(" / –")]
    return "; ".join([*parts, *(f"{label} > {least:g}" for label, least in asked.recall.items())])
