"""`report.html`: one file that asks the network for nothing and runs nothing.

Its Content-Security-Policy allows the one style sheet by its hash and pictures inside the
file; there is no script, so a hostile id or text that got past the escaping could not run.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from capitoline.modalities.schema import File
from capitoline.pipelines.report.cards import contested_items
from capitoline.pipelines.report.experts import experts
from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.sections import failures, key_figures, ratings, review, time
from capitoline.pipelines.report.summary import Summary
from capitoline.pipelines.store import write_atomically

Thumbnail = Callable[[str, Sequence[File]], bytes | None]
"""(item id, files) → a JPEG of at most 160 pixels a side, or None if there is nothing to show."""


def write_report(out: Path, summary: Summary, thumbnail: Thumbnail, title: str = "Capitoline report") -> Path:
    """Write `report.html` into `out` and return its path; a reader sees the old one or the new one."""
    path, html = out / "report.html", page(summary, thumbnail, title)
    write_atomically(path, lambda temporary: _write(temporary, html))
    return path


def page(summary: Summary, thumbnail: Thumbnail, title: str) -> str:
    """The whole document."""
    style = files("capitoline.pipelines.report").joinpath("report.css").read_text(encoding="utf-8")
    sections = {
        "Ratings": ratings(summary),
        "Experts": experts(summary),
        "Failures": failures(summary),
        "Review": review(summary),
        "Time": time(summary),
        "Most contested items": contested_items(summary, thumbnail),
    }
    body = join(
        element("header", element("h1", title), _lead(summary)),
        key_figures(summary),
        element("nav", *(element("a", name, href=f"#{_anchor(name)}") for name in sections)),
        *(_section(name, content) for name, content in sections.items()),
        element("footer", "Made by Capitoline. Nothing in this file is loaded from a network, and it runs no script."),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(style)),
    )
    return "<!doctype html>\n" + element("html", head, element("body", body), lang="en")


def _lead(summary: Summary) -> Markup:
    scale = " < ".join(summary.labels)
    return element("p", f"{summary.items:,} items on the scale {scale}, mildest first.", class_="faint")


def _section(name: str, content: Markup) -> Markup:
    return join(element("h2", name, id=_anchor(name)), content)


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _policy(style: str) -> str:
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _write(path: Path, html: str) -> None:
    path.write_text(html, encoding="utf-8", newline="\n")
