"""The most contested items: a card each, with its ballots and a thumbnail blurred until clicked."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

from capitoline.modalities.schema import FAILURES, File, Outcome
from capitoline.pipelines.printable import one_line
from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.panels import note, rating_colours
from capitoline.pipelines.report.plots import Segment, strip, swatch
from capitoline.pipelines.report.summary import Ballot, Contested, Summary

EXCERPT = 280
"""Characters of an item's text on its card."""


def contested_items(summary: Summary, thumbnail: Callable[[str, Sequence[File]], bytes | None]) -> Markup:
    """The section of all cards, the most contested first."""
    if not summary.contested:
        return note("No two experts disagreed on any item, nothing failed, and nothing needs a look.")
    shades = rating_colours(summary.labels)
    cards = [_card(item, summary.labels, shades, thumbnail(item.item_id, item.files)) for item in summary.contested]
    words = "Largest spread of ballots first, then draws and failures. Pictures are blurred until clicked."
    return join(note(words), element("div", *cards, class_="cards"))


def _card(item: Contested, labels: Sequence[str], shades: Mapping[str, str], picture: bytes | None) -> Markup:
    ballots = [_ballot(ballot, labels, shades) for ballot in item.ballots if ballot.outcome != Outcome.ABSENT]
    return element(
        "article",
        element("header", _thumbnail(picture) if picture else "", element("div", _heading(item, shades))),
        element("blockquote", element("bdi", one_line(item.text, EXCERPT))) if item.text.strip() else "",
        element("table", element("tbody", *ballots), class_="ballots"),
        element("ul", *(element("li", one_line(reason, 200)) for reason in item.review)) if item.review else "",
        class_="card",
    )


def _heading(item: Contested, shades: Mapping[str, str]) -> Markup:
    drew = f", drew {' and '.join(item.tied)}" if item.tied else ""
    spread = f", {item.spread} level{'s' * (item.spread > 1)} apart" if item.spread else ""
    return join(
        element("bdi", one_line(item.item_id, 160), class_="id"),
        element("span", swatch(shades[item.rating]), item.rating, class_="rating"),
        element("span", f"{item.rule}{drew}{spread}", class_="faint"),
    )


def _ballot(ballot: Ballot, labels: Sequence[str], shades: Mapping[str, str]) -> Markup:
    """A row: the expert, its label or outcome, and its probabilities or its reason."""
    name = element("td", element("bdi", ballot.expert))
    if ballot.severity is None:
        alarm = "alarm" if ballot.outcome in FAILURES else "faint"
        why = element("td", one_line(ballot.reason, 120), class_="faint")
        return element("tr", name, element("td", ballot.outcome, class_=alarm), why)
    label = labels[ballot.severity]
    rating = element("span", swatch(shades[label]), label, class_="rating")
    return element("tr", name, element("td", rating), _bar(ballot, labels, shades))


def _bar(ballot: Ballot, labels: Sequence[str], shades: Mapping[str, str]) -> Markup:
    if not ballot.probabilities:
        return element("td", "no probabilities", class_="faint")
    pairs = zip(labels, ballot.probabilities, strict=True)
    segments = [Segment(label, probability, shades[label]) for label, probability in pairs]
    return element("td", strip(f"Probabilities of {ballot.expert}", segments))


def _thumbnail(picture: bytes) -> Markup:
    source = Markup("data:image/jpeg;base64," + b64encode(picture).decode("ascii"))
    return element(
        "label",
        element("input", type="checkbox", aria_label="Show the picture"),
        element("span", element("img", src=source, alt="Blurred picture of the item"), class_="frame"),
        element("span", "click to show", class_="hint"),
        class_="thumbnail",
    )
