"""An HTML document in one file that asks the network for nothing and runs nothing.

Its Content-Security-Policy allows the one style sheet by its hash and pictures inside the
file; there is no script, so a hostile id or text that got past the escaping could not run.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from capitoline.pipelines.report.markup import Markup, element, join


def document(title: str, body: Markup) -> str:
    """The whole file."""
    style = files("capitoline.pipelines.report").joinpath("report.css").read_text(encoding="utf-8")
    footer = "Made by Capitoline. Nothing in this file is loaded from a network, and it runs no script."
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(style)),
    )
    html = element("html", head, element("body", body, element("footer", footer)), lang="en")
    return "<!doctype html>\n" + html


def section(name: str, content: Markup) -> Markup:
    """A heading that `anchor` leads to, and what stands below it."""
    return join(element("h2", name, id=anchor(name)), content)


def anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _policy(style: str) -> str:
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
