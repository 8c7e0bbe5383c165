"""`evaluation.html`: every figure of an evaluation in one file that asks the network for nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence

from capitoline.pipelines.evaluation.result import Ordered, Result
from capitoline.pipelines.evaluation.table import HEADINGS, LEGEND, cells, figure
from capitoline.pipelines.report.document import anchor, document, section
from capitoline.pipelines.report.markup import Markup, element
from capitoline.pipelines.report.panels import count_cell, note, panel, panels, table
from capitoline.pipelines.report.plots import heat_map, reliability_diagram


def page(results: Sequence[Result], title: str = "Capitoline evaluation") -> str:
    """The whole document: the table, then a section for each task."""
    body = element(
        "main",
        element("header", element("h1", title), note(LEGEND)),
        element("nav", *(element("a", one.task, href=f"#{anchor(_name(one))}") for one in results)),
        panel("", _wide(results)),
        *(section(_name(one), _task(one)) for one in results),
        class_="measured",
    )
    return document(title, body)


def _name(result: Result) -> str:
    return f"{result.task} · {result.weights}"


def _wide(results: Sequence[Result]) -> Markup:
    head = element("tr", *(element("th", name) for name in HEADINGS))
    body = [element("tr", *(element("td", cell) for cell in cells(one))) for one in results]
    return element("table", element("thead", head), element("tbody", *body))


def _task(result: Result) -> Markup:
    if result.ordered:
        return panels(_by_label(result.ordered), _matrix(result.ordered), _reliability(result.ordered), _rates(result))
    return _axes(result) if result.axes else note(result.note)


def _by_label(ordered: Ordered) -> Markup:
    figures = ordered.figures
    support = [sum(row) for row in figures.matrix]
    rows = [
        (f"{support[k]:,}", label, figure(figures.recall[k]), figure(figures.precision[k]), figure(figures.f1[k]))
        for k, label in enumerate(ordered.labels)
    ]
    return panel("Labels", table(("items", "label", "recall", "precision", "F1"), rows))


def _matrix(ordered: Ordered) -> Markup:
    labels, matrix = ordered.labels, ordered.figures.matrix
    drawn = [
        [count_cell(f"{true} rated {said}", matrix[t][p], sum(matrix[t])) for p, said in enumerate(labels)]
        for t, true in enumerate(labels)
    ]
    words = note("True labels in rows, what they were rated in columns; below the diagonal is down-class.")
    return panel("Confusion", heat_map("Items by true and rated label", labels, labels, drawn), words)


def _reliability(ordered: Ordered) -> Markup:
    points = [(one.confidence, one.accuracy, one.count) for one in ordered.bins]
    words = note(f"Expected calibration error {figure(ordered.figures.calibration_error)} over bins of equal width.")
    return panel("Reliability", reliability_diagram("How often the likeliest label is right", points), words)


def _rates(result: Result) -> Markup:
    assert result.ordered is not None
    ours, majority = result.ordered.figures, result.ordered.majority
    names = {
        "accuracy": "accuracy over all items",
        "macro_f1": "macro-F1",
        "kappa": "quadratic weighted kappa",
        "absolute_error": "mean absolute error, levels",
        "down_rate": "down-class",
        "down_two_rate": "down-class by two levels or more",
        "up_rate": "up-class",
    }
    rows = [(figure(getattr(ours, key)), words, figure(getattr(majority, key))) for key, words in names.items()]
    speed = note(f"{figure(result.documents_a_second, ',.0f')} documents a CPU second on this machine.")
    return panel("All items", table(("ours", "", "commonest label"), rows), speed)


def _axes(result: Result) -> Markup:
    heading = ("rows known", "axis", "above the mildest", "AUPRC", "F1", "at threshold", "QWK")
    rows = [
        (
            f"{one.count:,}",
            one.axis,
            f"{one.positives:,}",
            figure(one.average_precision),
            figure(one.f1),
            figure(one.threshold),
            figure(one.kappa),
        )
        for one in result.axes
    ]
    return panel("Axes", table(heading, rows))
