"""What the page shows of the split `val`: all candidates, what experts cost and bring, faults, and training size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from capitoline.pipelines.ablation.charts import (
    DASHES,
    GREY,
    PALETTE,
    Axis,
    Dot,
    Line,
    Whisker,
    line_chart,
    scatter,
    whiskers,
)
from capitoline.pipelines.ablation.final import RULES
from capitoline.pipelines.ablation.findings import Findings
from capitoline.pipelines.ablation.grid import Candidate
from capitoline.pipelines.ablation.robustness import CLEAN, Condition, Fault
from capitoline.pipelines.ablation.standings import Standing, best_expert
from capitoline.pipelines.ablation.tables import ranking
from capitoline.pipelines.ablation.words import held, number, p_value, share, signed, signed_between
from capitoline.pipelines.report.markup import Markup, element, join
from capitoline.pipelines.report.panels import note, panel, panels
from capitoline.pipelines.report.plots import Cell, heat_map

SHOWN = 25
"""Rows of the ranking that are not folded away."""

WRITTEN = {"kappa": "QWK", "down_rate": "too mild", "down_two_rate": "too mild by two or more"}

SHOWN_OF = {
    Fault.DROPPED: ("kappa", "down_rate"),
    Fault.NOISED: ("kappa", "down_rate"),
    # Contradicted items are nearly all of the severe labels, on which kappa says nothing.
    Fault.CONTRADICTED: ("down_rate", "down_two_rate"),
}
"""The figures that tell what a fault does."""


def ranked(findings: Findings) -> Markup:
    """Every candidate at the share of review of the choice, best first."""
    chosen_from = [one for one in findings.ranked if one.candidate.review == findings.review]
    head = ("", "candidate", "QWK", "less", "95 %", "p", "accuracy", "macro-F1", "too mild", "by ≥ 2",
            "ECE", "CPU ms")  # fmt: skip
    rows = [(str(place), *_row(one, findings)) for place, one in enumerate(chosen_from, 1)]
    chosen = chosen_from.index(findings.chosen)
    words = (
        f"On {held(findings.splits['val'])}; means over seeds, {share(findings.review)} for a person. The choice was "
        "made among these figures, so they flatter: each interval is for itself and proves nothing. Less: QWK less the "
        "baseline's. p: McNemar on mistakes against the baseline, corrected for all rows. CPU: of the experts, an item."
    )
    rest = ranking(head, rows[SHOWN:], names=2, chosen=chosen - SHOWN)
    folded = element("details", element("summary", f"{len(rows) - SHOWN} more"), rest) if len(rows) > SHOWN else ""
    return join(note(words), panel("", ranking(head, rows[:SHOWN], names=2, chosen=chosen), join(folded)))


def cost(findings: Findings) -> Markup:
    """What the experts of a candidate cost, against what it reaches."""
    best: dict[tuple[str, tuple[str, ...]], Standing] = {}
    for one in findings.ranked:
        if one.candidate.review == findings.review:
            best.setdefault((one.candidate.strategy, one.candidate.experts), one)
    seen: set[tuple[str, ...]] = set()
    dots = []
    for (_, experts), one in best.items():
        name = "" if experts in seen else "+".join(experts)
        seen.add(experts)
        dots.append(_dot(one, name, one.candidate == findings.chosen.candidate))
    kappas, costs = [one.y for one in dots], [one.x for one in dots]
    across = Axis("CPU ms an item", max(min(costs), 1e-3) / 1.5, max(*costs, 2e-3) * 1.5, logarithmic=True)
    up = Axis("QWK on val", min(0.0, *kappas), max(kappas) * 1.08)
    words = (
        f"On {held(findings.splits['val'])}: each strategy with each subset of the experts, at its best cost. CPU time "
        "as it was measured when the features were computed; deciding itself costs microseconds. The best strategy "
        "of each subset is named, the chosen candidate is green."
    )
    drawn = scatter("Cost against quality", dots[::-1], across, up, 1_040, 420)
    return join(note(words), panel("Cost against quality", drawn))


def experts(findings: Findings) -> Markup:
    """What each expert brings, in kappa."""
    found = findings.attribution
    cost = f" at cost {found.down_cost:g}" if found.down_cost else ""
    words = (
        f"On {held(findings.splits['val'])}: QWK of {found.strategy}{cost} over subsets of the experts, mean over "
        f"seeds. All together reach {number(found.together)}, nobody 0. Shapley: the mean gain when the expert joins, "
        "over all orders; the values add up to the whole. Lost without it: what is missing when it alone is left out; "
        "experts that say the same can each be left out at little cost."
    )
    charts = (
        panel("Shapley value", _lollipops("Shapley value of each expert", found.shapley)),
        panel("Lost without it", _lollipops("Lost without the expert", found.leave_one_out)),
    )
    return join(note(words), panels(*charts))


def robustness(findings: Findings) -> Markup:
    """What faults of one expert do to each strategy of all experts."""
    words = (
        f"Synthetic, made from the evidence about {held(findings.splits['val'])}; it says what a decider does with "
        f"such evidence, not how often it occurs. Dropped: the expert says nothing. Noised: in {share(findings.noise)} "
        "of the rows it speaks of another row. Contradicted: it speaks of a row at least two labels away (a PG picture "
        "with an X caption), and the truth is the more severe of the two; rows that nothing contradicts are left out. "
        "Each strategy with all experts at its best cost, means over seeds."
    )
    maps = [
        panel(f"An expert {fault}: {WRITTEN[figure]}", _map(findings, fault, figure))
        for fault, shown in SHOWN_OF.items()
        for figure in shown
    ]
    return join(note(words), panels(*maps))


def training_size(findings: Findings) -> Markup:
    """The quality of a fitted strategy against the rows that it was fitted to."""
    curve = findings.curve
    if curve is None:
        return note("No learning curve was asked for.")
    means = [(float(one.rows), float(np.mean(one.kappas))) for one in curve.points]
    band = [(float(one.rows), min(one.kappas), max(one.kappas)) for one in curve.points]
    lines = [Line(f"{curve.strategy}, mean and range of seeds", means, PALETTE[0], dots=True, band=band)]
    across = Axis("rows it was fitted to", means[0][0] / 1.2, means[-1][0] * 1.1, "{:,.0f}", logarithmic=True)
    for place, (name, kappa) in enumerate(_references(findings), 1):
        ends = [(across.low, kappa), (across.high, kappa)]
        lines.append(Line(f"{name} {kappa:.3f}", ends, PALETTE[place], DASHES[place]))
    values = [y for line in lines for _, y in line.points] + [y for _, low, high in band for y in (low, high)]
    up = Axis("QWK on val", min(values) - 0.02, max(values) + 0.03, "{:.2f}")
    words = (
        f"On {held(findings.splits['val'])}; {curve.strategy} of all experts, fitted to parts of the training groups, "
        "small parts inside larger ones. If the curve still rises at its end, more labelled rows would help."
    )
    drawn = line_chart("Quality against training size", lines, across, up, 760)
    return join(note(words), panel("Training size", drawn))


def _row(standing: Standing, findings: Findings) -> list[str]:
    difference = findings.differences.get(standing.candidate)
    less = signed(standing.kappa - findings.baseline.kappa) if difference else "baseline"
    return [
        standing.candidate.name, number(standing.kappa), less,
        signed_between(difference) if difference else "–", p_value(difference.p) if difference else "–",
        number(standing.accuracy), number(standing.macro_f1), share(standing.down_rate),
        share(standing.down_two_rate), number(standing.calibration_error), f"{standing.seconds * 1_000:,.2f}",
    ]  # fmt: skip


def _dot(standing: Standing, name: str, chosen: bool) -> Dot:
    words = f"{standing.candidate.name}: QWK {standing.kappa:.3f}, {standing.seconds * 1_000:.2f} ms"
    colour = PALETTE[0] if chosen else PALETTE[2] if name else GREY
    return Dot(standing.seconds * 1_000, standing.kappa, words, colour, name)


def _of_all_experts(findings: Findings) -> list[Standing]:
    """The best candidate of each strategy with all experts, best first."""
    found: dict[str, Standing] = {}
    for one in findings.ranked:
        if one.candidate.experts == findings.experts and one.candidate.review == findings.review:
            found.setdefault(one.candidate.strategy, one)
    return list(found.values())


def _lollipops(title: str, values: Mapping[str, float]) -> Markup:
    rows = [Whisker(name, one, min(one, 0.0), max(one, 0.0), signed(one), PALETTE[2]) for name, one in values.items()]
    low, high = min(0.0, *values.values()), max(0.0, *values.values())
    room = 0.08 * (high - low) + 0.005
    return whiskers(title, rows, Axis("QWK on val", low - room if low < 0 else 0.0, high + room), 460, zero=True)


def _map(findings: Findings, fault: Fault, figure: str) -> Markup:
    """Strategies down, clean and the faulty expert across."""
    measured: dict[tuple[Candidate, Condition], list[float]] = {}
    for one in findings.measured:
        key = one.combination.candidate, one.combination.condition
        measured.setdefault(key, []).append(getattr(one.figures, figure))
    told = [CLEAN, *(Condition(fault, expert) for expert in findings.experts)]
    cells = [
        [_cell(float(np.mean(measured[standing.candidate, one])), standing, one, figure) for one in told]
        for standing in _of_all_experts(findings)
        if (standing.candidate, told[-1]) in measured
    ]
    names = [one.candidate.strategy for one in _of_all_experts(findings)]
    return heat_map(f"{figure}, an expert {fault}", names, [one.expert or "clean" for one in told], cells)


def _cell(value: float, standing: Standing, condition: Condition, figure: str) -> Cell:
    words = f"{standing.candidate.name}, {condition.name}: {value:.3f}"
    if figure == "kappa":
        return Cell(number(value), min(max(value, 0.0), 1.0), words)
    return Cell(share(value), min(value * 2, 1.0), words, alarm=True)


def _references(findings: Findings) -> list[tuple[str, float]]:
    """The best single expert and the best of the voter's rules with all experts."""
    expert = best_expert(findings.ranked, findings.review)
    rules = [one for one in _of_all_experts(findings) if one.candidate.strategy in RULES]
    return [(one.candidate.name, one.kappa) for one in (expert, *rules[:1])]
