"""An explanation on the terminal. Everything foreign passes `printable`, so no escape code gets through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from capitoline.modalities.schema import FAILURES, Evidence, File, Outcome, Span
from capitoline.pipelines.explain import Explanation
from capitoline.pipelines.printable import one_line, printable
from capitoline.pipelines.units import clock

BLOCKS = " ▁▂▃▄▅▆▇█"
"""Bars of 0 to 8 eighths."""
SPANS_SHOWN = 40
TAGS_SHOWN = 12
STYLES = ("green", "yellow", "dark_orange", "red", "magenta")
"""From the mildest label to the most severe."""


def render(explanation: Explanation) -> RenderableType:
    """The verdict, the ballots, where it was seen, then what the item is and what it cost."""
    parts = [
        _verdict(explanation),
        Group(_ballots(explanation.record.verdict.evidence, explanation.labels), *_unlikely(explanation)),
        *_seen(explanation),
        _facts(explanation),
    ]
    return Group(*chain.from_iterable((part, "") for part in parts))


def label_colour(severity: int | None, count: int) -> str:
    """The colour of the label at `severity` on a scale of `count`; the terminal's own for unrated."""
    return "default" if severity is None else STYLES[round(severity * (len(STYLES) - 1) / (count - 1))]


def label_style(severity: int | None, count: int) -> str:
    """How the label is written: bold in its colour; unrated is reversed, so that it stands out."""
    return "bold reverse" if severity is None else f"bold {label_colour(severity, count)}"


def _verdict(explanation: Explanation) -> Text:
    verdict, labels = explanation.record.verdict, explanation.labels
    lines = Text(printable(verdict.item_id), style="bold")
    lines.append("\n").append(verdict.rating, label_style(verdict.severity, len(labels)))
    lines.append(f"  by {printable(verdict.rule)}", "not bold")
    if verdict.tied:
        lines.append(f"; {' and '.join(verdict.tied)} drew, the more restrictive stands", "not bold")
    if verdict.probabilities:
        pairs = zip(labels, verdict.probabilities, strict=True)
        lines.append("\n" + "   ".join(f"{label} {share:.0%}" for label, share in pairs), "not bold")
    for reason in verdict.review:
        lines.append(f"\nreview: {printable(reason)}", "yellow not bold")
    return lines


def _ballots(evidence: Sequence[Evidence], labels: Sequence[str]) -> Table:
    shown = labels if any(one.probabilities for one in evidence) else ()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("expert", "outcome", *shown):
        table.add_column(Text(name), no_wrap=True)
    table.add_column("CPU", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for one in evidence:
        bars = _bars(one, len(shown))
        seconds = f"{one.seconds * 1_000:.0f} ms"
        table.add_row(Text(printable(one.expert)), _outcome(one, labels), *bars, seconds, Text(printable(one.reason)))
    return table


def _unlikely(explanation: Explanation) -> Iterator[Text]:
    """Why an expert's label is not the one it finds likeliest; where it has a reason of its own, the table gives it."""
    for one in explanation.record.verdict.evidence:
        if one.severity is None or not one.probabilities or one.reason:
            continue
        likeliest = _likeliest(one.probabilities)
        if one.severity != likeliest:
            said, likely = explanation.labels[one.severity], explanation.labels[likeliest]
            yield Text(
                f"{printable(one.expert)}: {said} and not {likely}, the likeliest, because a level too mild costs more "
                "than one too severe",
                "dim",
            )


def _likeliest(probabilities: Sequence[float]) -> int:
    """The severity; of equals the mildest."""
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _outcome(evidence: Evidence, labels: Sequence[str]) -> Text:
    if evidence.severity is not None:
        return Text(labels[evidence.severity], label_style(evidence.severity, len(labels)))
    return Text(evidence.outcome, "red" if evidence.outcome in FAILURES else "dim")


def _bars(evidence: Evidence, count: int) -> list[Text]:
    if not evidence.probabilities:
        return [Text("")] * count
    return [
        Text(f"{BLOCKS[round(share * 8)]} {share:3.0%}", label_colour(index, count))
        for index, share in enumerate(evidence.probabilities)
    ]


def _seen(explanation: Explanation) -> Iterator[RenderableType]:
    """Of each expert that says where: the times and words of its spans, and its tags."""
    for one in explanation.record.verdict.evidence:
        if one.spans or one.tags:
            timed = any(span.end for span in one.spans)
            spans = [_span(span, explanation.labels, timed) for span in one.spans[:SPANS_SHOWN]]
            if len(one.spans) > SPANS_SHOWN:
                spans.append(Text(f"… and {len(one.spans) - SPANS_SHOWN:,} more", "dim"))
            lines = [*spans, *([_tags(one)] if one.tags else [])]
            yield Group(Text(f"{printable(one.expert)} saw", "bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines))


def _span(span: Span, labels: Sequence[str], timed: bool) -> Text:
    line = Text(f"{_moment(span)}  " if timed else "", "cyan")
    if span.probabilities:
        likeliest = _likeliest(span.probabilities)
        line.append(f"{labels[likeliest]} {span.probabilities[likeliest]:.0%}  ", label_style(likeliest, len(labels)))
    return line.append(printable(span.text), "default")


def _moment(span: Span) -> str:
    return f"{clock(span.start)} – {clock(span.end)}" if span.end > span.start else clock(span.start)


def _tags(evidence: Evidence) -> Text:
    strongest = sorted(evidence.tags, key=lambda tag: -tag.score)[:TAGS_SHOWN]
    return Text(", ".join(f"{one_line(tag.name, 60)} {tag.score:.2f}" for tag in strongest))


def _facts(explanation: Explanation) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _named_facts(explanation):
        if value:
            table.add_row(Text(printable(name)), Text(printable(value)))
    return table


def _named_facts(explanation: Explanation) -> Iterator[tuple[str, str]]:
    record = explanation.record
    yield "text", record.text or ""
    yield "tags", ", ".join(record.tags or ())
    yield "parts", ", ".join(record.modalities)
    yield from record.item.metadata.items()
    yield from (("file", _place(file)) for file in record.item.files)
    yield from (("note", note) for note in record.notes)
    yield "CPU, its share of batches", _spent(record.seconds)
    yield "digest", record.verdict.digest
    experts = {one.expert for one in record.verdict.evidence if one.outcome is not Outcome.ABSENT}
    yield from ((f"weights {name}", digest) for name, digest in explanation.weights.items() if name in experts)
    yield "rated by", f"capitoline {explanation.version}"


def _place(file: File) -> str:
    inside = "" if file.source.endswith(file.name) else f": {file.name}"
    return f"{file.source}{inside} ({file.size:,} bytes)"


def _spent(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{node} {spent * 1_000:.0f} ms" for node, spent in seconds.items())
