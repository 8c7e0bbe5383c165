"""`report.html`: what came of a job, section by section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.schema import File
from capitoline.pipelines.report.cards import contested_items
from capitoline.pipelines.report.document import anchor, document, section
from capitoline.pipelines.report.experts import experts
from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.sections import failures, key_figures, ratings, review, shadow, time
from capitoline.pipelines.report.summary import Summary
from capitoline.pipelines.units import counted

Thumbnail = Callable[[str, Sequence[File]], bytes | None]
"""(item id, files) → a JPEG of at most 160 pixels a side, or None if there is nothing to show."""


def write_report(out: Path, summary: Summary, thumbnail: Thumbnail, title: str = "Capitoline report") -> Path:
    """Write `report.html` into `out` and return its path; a reader sees the old one or the new one."""
    path, html = out / "report.html", page(summary, thumbnail, title)
    write_atomically(path, lambda temporary: _write(temporary, html))
    return path


def page(summary: Summary, thumbnail: Thumbnail, title: str) -> str:
    """The whole document."""
    sections = {
        "Ratings": ratings(summary),
        "Experts": experts(summary),
        "Failures": failures(summary),
        "Review": review(summary),
        "Shadow": shadow(summary),
        "Time": time(summary),
        "Most contested items": contested_items(summary, thumbnail),
    }
    if summary.shadow is None:
        del sections["Shadow"]
    body = join(
        element("header", element("h1", title), _lead(summary)),
        key_figures(summary),
        element("nav", *(element("a", name, href=f"#{anchor(name)}") for name in sections)),
        *(section(name, content) for name, content in sections.items()),
    )
    return document(title, body)


def _lead(summary: Summary) -> Markup:
    scale = " < ".join(summary.labels)
    return element("p", f"{counted(summary.items, 'item')} on the scale {scale}, mildest first.", class_="faint")


def _write(path: Path, html: str) -> None:
    path.write_text(html, encoding="utf-8", newline="\n")
