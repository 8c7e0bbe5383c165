"""What the page shows of the split `test`: the finalists, their mistakes, what review leaves, and their calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capitoline.pipelines.ablation.charts import DASHES, PALETTE, Axis, Line, Whisker, line_chart, whiskers
from capitoline.pipelines.ablation.comparison import Comparison, Row
from capitoline.pipelines.ablation.curves import RiskCurve, risk_curve
from capitoline.pipelines.ablation.findings import Findings
from capitoline.pipelines.ablation.tables import ranking
from capitoline.pipelines.ablation.words import between, held, number, p_value, share, signed, signed_between
from capitoline.pipelines.evaluation.calibration import reliability
from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.panels import note, panel, panels
from capitoline.pipelines.report.plots import Cell, heat_map, reliability_diagram

REVIEWED = (0.0, 0.05, 0.1, 0.2, 0.3)
"""Shares of the items for a person at which the table of risks stands."""

MOST_REVIEWED = 0.6
"""Where the curves end: with more for people, few items are left and the error jumps about."""


def result(findings: Findings) -> Markup:
    """The finalists, ranked, and the differences between them."""
    return join(
        note(f"On {held(findings.splits['test'])}. Bars: 95 % intervals of each figure for itself."),
        panel("Quadratic weighted kappa", ranked_picture(findings)),
        panel("Figures", _figures(findings)),
        panel("Differences", _differences(findings)),
    )


def ranked_picture(findings: Findings, width: int = 980) -> Markup:
    """The finalists by kappa, with their intervals."""
    order = sorted(enumerate(findings.test.rows), key=lambda one: -one[1].kappa)
    rows = [
        Whisker(
            label=f"{row.finalist.candidate.name} ({row.finalist.role})",
            value=row.kappa,
            low=row.kappa_interval.low,
            high=row.kappa_interval.high,
            note=f"{row.kappa:.3f} · too mild {row.down_rate:.1%}",
            colour=PALETTE[0] if index == 0 else PALETTE[2],
        )
        for index, row in order
    ]
    low = min(0.0, *(one.low for one in rows))
    high = max(one.high for one in rows)
    across = Axis(f"QWK on test, {findings.test.count:,} items", low, min(high + 0.03, 1.0))
    return whiskers("Quadratic weighted kappa of the finalists on test", rows, across, width, zero=low < 0)


def down_class(findings: Findings) -> Markup:
    """A matrix of counts for each finalist: below the diagonal is down-class."""
    matrices = [
        panel(f"{_name(row)} · {share(row.figures.down_rate)} too mild", _matrix(row, findings.labels))
        for row in findings.test.rows
    ]
    words = (
        f"On {held(findings.splits['test'])}, the served seed. Rows: true label, columns: decided label; shaded by the "
        "share of the row. Red: decided milder than it is."
    )
    return join(note(words), panels(*matrices))


def review(findings: Findings) -> Markup:
    """What error is left when more of the items go to a person."""
    curves = [(row, risk_curve(row.finalist.served)) for row in findings.test.rows]
    words = (
        f"On {held(findings.splits['test'])}, the served seed. Items with the thinnest margin between their two "
        "likeliest labels go to a person first; the error is among the others. Votes have few different margins, so "
        "their curves have few steps and end early."
    )
    across = Axis("share for a person", 0.0, MOST_REVIEWED, "{:.0%}")
    charts = [
        panel(caption, line_chart(caption, _risk_lines(curves, down), across, _risk_axis(curves, down)))
        for caption, down in (("Mistakes left", False), ("Down-class mistakes left", True))
    ]
    return join(note(words), panels(*charts), panel("At equal shares of review", _risk_table(curves)))


def calibration(findings: Findings) -> Markup:
    """How often the likeliest label is the true one, beside its probability."""
    drawn = []
    for row in findings.test.rows:
        served = row.finalist.served
        bins = reliability(served.probabilities[served.rated], served.truth[served.rated], 10)
        points = [(one.confidence, one.accuracy, one.count) for one in bins]
        caption = f"{_name(row)} · ECE {number(row.figures.calibration_error)}"
        drawn.append(panel(caption, reliability_diagram(caption, points)))
    words = (
        f"On {held(findings.splits['test'])}, the served seed, items that were rated. Across: probability of the "
        "likeliest label; up: how often it is true; a disc's area grows with its items. ECE: expected calibration "
        "error. A vote's probabilities are shares of the ballots and promise nothing."
    )
    return join(note(words), element("div", *drawn, class_="panels small"))


def _name(row: Row) -> str:
    return f"{row.finalist.candidate.name} ({row.finalist.role})"


def _figures(findings: Findings) -> Markup:
    head = ("candidate", "QWK", "95 %", "seeds", "accuracy", "macro-F1", "too mild", "by ≥ 2", "too severe", "ECE",
            "for a person")  # fmt: skip
    rows = []
    for row in findings.test.rows:
        figures, finalist = row.figures, row.finalist
        kappas = [one.figures().kappa for one in finalist.outcomes]
        seeds = f"{min(kappas):.3f} … {max(kappas):.3f}" if len(kappas) > 1 else "–"
        name = join(finalist.candidate.name, " ", element("span", finalist.role, class_="faint"))
        rows.append((
            name, number(row.kappa), between(row.kappa_interval), seeds, number(figures.accuracy),
            number(figures.macro_f1), share(row.down_rate), share(figures.down_two_rate), share(figures.up_rate),
            number(figures.calibration_error), share(1 - float(finalist.served.automatic.mean())),
        ))  # fmt: skip
    return ranking(head, rows, chosen=0)


def _differences(findings: Findings) -> Markup:
    head = ("the first less the second", "QWK", "p", "too mild", "p", "p, mistakes", "p, too mild")
    rows = [(_pair(findings, one), *_difference(one)) for one in findings.test.comparisons]
    words = (
        f"On test, {findings.test.count:,} items. An interval that leaves out 0 is significant. The last two columns "
        f"are McNemar's test. Every column of p is corrected for its {len(rows)} comparisons (Holm)."
    )
    return join(ranking(head, rows), note(words))


def _pair(findings: Findings, compared: Comparison) -> Markup:
    first, second = (findings.test.rows[one].finalist.candidate.name for one in (compared.first, compared.second))
    return join(first, element("span", " less ", class_="faint"), second)


def _difference(compared: Comparison) -> tuple[str, ...]:
    return (
        f"{signed(compared.kappa)} ({signed_between(compared.kappa_interval)})",
        p_value(compared.kappa_interval.p),
        f"{signed(compared.down_rate)} ({signed_between(compared.down_interval)})",
        p_value(compared.down_interval.p),
        p_value(compared.mistakes_p),
        p_value(compared.down_p),
    )


def _matrix(row: Row, labels: Sequence[str]) -> Markup:
    counts = np.array(row.figures.matrix)
    totals = np.maximum(counts.sum(1), 1)
    cells = [
        [
            Cell(
                f"{counts[true, told]:,}" if counts[true, told] else "·",
                float(counts[true, told] / totals[true]),
                f"true {labels[true]}, decided {labels[told]}: {counts[true, told]:,}",
                alarm=told < true,
            )
            for told in range(len(labels))
        ]
        for true in range(len(labels))
    ]
    return heat_map(f"True and decided labels, {_name(row)}", labels, labels, cells)


def _risk_lines(curves: Sequence[tuple[Row, RiskCurve]], down: bool) -> list[Line]:
    return [
        Line(
            row.finalist.candidate.name,
            _points(curve, down),
            PALETTE[index % len(PALETTE)],
            DASHES[index % len(DASHES)],
            dots=len(curve.reviewed) < 8,
        )
        for index, (row, curve) in enumerate(curves)
    ]


def _points(curve: RiskCurve, down: bool) -> list[tuple[float, float]]:
    shown = curve.reviewed <= MOST_REVIEWED
    return list(zip(curve.reviewed[shown].tolist(), (curve.down if down else curve.error)[shown].tolist(), strict=True))


def _risk_axis(curves: Sequence[tuple[Row, RiskCurve]], down: bool) -> Axis:
    most = max(y for _, curve in curves for _, y in _points(curve, down))
    return Axis("down-class" if down else "wrong", 0.0, min(1.0, most * 1.08 + 0.01), "{:.0%}")


def _risk_table(curves: Sequence[tuple[Row, RiskCurve]]) -> Markup:
    """Mistakes and down-class mistakes left when at most these shares are looked at."""
    head = ("candidate", *(f"{one:.0%} reviewed" for one in REVIEWED), "area", "area, too mild")
    rows = []
    for row, curve in curves:
        places = [int(np.searchsorted(curve.reviewed, one, side="right")) - 1 for one in REVIEWED]
        left = [f"{curve.error[place]:.1%} · {curve.down[place]:.1%}" for place in places]
        rows.append((row.finalist.candidate.name, *left, number(curve.area), number(curve.down_area)))
    words = "Wrong · too mild, of the items that no person looks at. Area under each curve: less is better."
    return join(ranking(head, rows, chosen=0), note(words))
