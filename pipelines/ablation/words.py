"""What was found, in sentences: the page and the summary begin with them."""

from __future__ import annotations

from capitoline.pipelines.ablation.comparison import Comparison, Row
from capitoline.pipelines.ablation.final import BASELINE, EXPERT
from capitoline.pipelines.ablation.findings import Findings, Split
from capitoline.pipelines.ablation.resampling import Interval


def number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def signed(value: float) -> str:
    """With its sign, a true minus."""
    return "–" if value != value else f"{value:+.3f}".replace("-", "−")


def share(value: float) -> str:
    return "–" if value != value else f"{value:.1%}"


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def between(interval: Interval) -> str:
    return f"{number(interval.low)} … {number(interval.high)}"


def signed_between(interval: Interval) -> str:
    return f"{signed(interval.low)} … {signed(interval.high)}"


def held(split: Split) -> str:
    """`val: 247 items of 245 groups`."""
    return f"{split.name}: {split.items:,} items of {split.groups:,} groups"


def verdict(findings: Findings) -> list[str]:
    """What was chosen, what it reaches, and what it is not proved to be better than."""
    chosen = findings.test.rows[0]
    sentences = [_chosen(findings, chosen)]
    for role, what in ((BASELINE, "the baseline"), (EXPERT, "the best single expert")):
        index = next(place for place, row in enumerate(findings.test.rows) if role in row.finalist.role)
        if index == 0:
            sentences.append(f"It is {what} itself: nothing that was compared did better on val.")
        else:
            sentences.append(_against(findings, index, what))
    return [*sentences, _rules(findings)]


def is_better(findings: Findings) -> bool:
    """Whether the chosen candidate is significantly better than the baseline."""
    index = next(place for place, row in enumerate(findings.test.rows) if BASELINE in row.finalist.role)
    compared = findings.test.between(0, index)
    return compared is not None and compared.better


def method(findings: Findings) -> list[str]:
    """How the figures came about."""
    bound = (
        "There was no bound on its down-class rate."
        if findings.down_slack is None
        else "Its down-class rate on val may exceed that of the best single expert by "
        f"{share(findings.down_slack)} at most."
    )
    return [
        f"Deciders were fitted on {held(findings.splits['train'])}, whose evidence comes from experts that had not "
        f"been trained on them. {len(findings.measured):,} combinations of strategy, experts, cost, share of review, "
        f"seed and condition were decided on {held(findings.splits['val'])}, in {findings.wall_seconds:.0f} s.",
        f"The choice is the highest quadratic weighted kappa (QWK) on val, mean over seeds, with "
        f"{share(findings.review)} of the items for a person. {bound}",
        f"Then, once, {len(findings.test.rows)} candidates were looked at on {held(findings.splits['test'])}. Their "
        f"{len(findings.test.comparisons)} differences have paired bootstrap intervals ({findings.test.draws:,} draws "
        "of groups, the same for all) at the level at which Holm's procedure tests them, and McNemar's test on "
        "mistakes; all p are corrected for the number of comparisons.",
        "Down-class: rated milder than it is. An item that no expert rates is withheld and counts as the most severe "
        "label. Cost c: a level too mild costs c times a level too severe, which decides at the c/(1+c) quantile. QWK "
        "and the down-class rate are means over seeds, all else is of the seed that would be served.",
    ]


def _chosen(findings: Findings, row: Row) -> str:
    return (
        f"Chosen on val: {row.finalist.candidate.name}. On test ({findings.test.count:,} items) its QWK is "
        f"{number(row.kappa)} ({between(row.kappa_interval)}), and {share(row.down_rate)} of the items come out "
        "too mild."
    )


def _against(findings: Findings, index: int, what: str) -> str:
    row, compared = findings.test.rows[index], findings.test.between(0, index)
    assert compared is not None, index
    verdict = "It is better than" if compared.better else "It is not significantly better than"
    if compared.kappa_interval.high < 0:
        verdict = "It is worse than"
    return (
        f"{verdict} {what}, {row.finalist.candidate.name}: {_difference(compared)} on test; "
        f"too mild {share(findings.test.rows[0].down_rate)} against {share(row.down_rate)}."
    )


def _difference(compared: Comparison) -> str:
    p = p_value(compared.kappa_interval.p)
    return f"QWK {signed(compared.kappa)} ({signed_between(compared.kappa_interval)}, p {p})"


def _rules(findings: Findings) -> str:
    """Which of the voter's rules it beats."""
    indices = [place for place, row in enumerate(findings.test.rows) if place and "voter" in row.finalist.role]
    compared = [(index, findings.test.between(0, index)) for index in indices]
    beaten = [_rule(findings, index) for index, one in compared if one is not None and one.better]
    open_ones = [_rule(findings, index) for index, one in compared if one is not None and not one.better]
    parts = [f"Of the voter's rules it is significantly better than {', '.join(beaten) or 'none'}"]
    return ("; not than ".join([*parts, ", ".join(open_ones)]) if open_ones else parts[0]) + "."


def _rule(findings: Findings, index: int) -> str:
    return findings.test.rows[index].finalist.candidate.strategy
