"""Four rules that turn ballots into one severity.

A ballot is an integer severity, so "more restrictive" is "greater" and nothing compares
labels. `majority` is the product's default; because plurality is not monotone under any
tie-break (ballots 0,1,2 give 2, but 1,1,2 give 1: more alarm, a milder verdict), the
monotone `upper_median` stands beside it.

Two experts that judge one part of an item, such as its tags, tell one thing twice. So that they
do not outvote an alarm from elsewhere, the rules also count a ballot a part: see `elected`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule made of the ballots."""

    severity: int
    tied: tuple[int, ...] = ()
    """The severities that drew, mildest first; empty without a draw."""
    by_part: bool = False
    """Whether a ballot a part decided, and not a ballot an expert."""


Rule = Callable[[Mapping[str, int]], Outcome]
"""Ballots by expert name, at least one → outcome."""


def majority(ballots: Mapping[str, int]) -> Outcome:
    """Most ballots win; a draw goes to the more restrictive of the drawn severities."""
    return _most(Counter(ballots.values()))


def weighted(ballots: Mapping[str, int], weights: Mapping[str, float]) -> Outcome:
    """`majority` with a weight for each expert's ballot, 1 unless named."""
    totals: dict[int, float] = {}
    for expert, severity in sorted(ballots.items()):  # sorted: a float sum depends on its order
        totals[severity] = totals.get(severity, 0.0) + weights.get(expert, 1.0)
    return _most(totals)


def upper_median(ballots: Mapping[str, int]) -> Outcome:
    """The middle ballot, of two middle ones the more restrictive. Monotone in every ballot."""
    ranked = sorted(ballots.values())
    middle = len(ranked) // 2
    lower = ranked[(len(ranked) - 1) // 2]
    tied = () if lower == ranked[middle] else (lower, ranked[middle])
    return Outcome(ranked[middle], tied)


def most_severe(ballots: Mapping[str, int]) -> Outcome:
    """The most restrictive ballot."""
    return Outcome(max(ballots.values()))


def _most(totals: Mapping[int, float]) -> Outcome:
    best = max(totals.values())
    winners = sorted(severity for severity, total in totals.items() if total == best)
    return Outcome(winners[-1], tuple(winners) if len(winners) > 1 else ())


RULES: Mapping[str, Rule] = {"majority": majority, "upper_median": upper_median, "most_severe": most_severe}
"""The rules that need nothing but ballots, and also count by parts; `weighted` counts as it is told."""


def elected(chosen: Rule, ballots: Mapping[str, int], parts: Mapping[str, str]) -> Outcome:
    """What `chosen` elects with a ballot an expert, or with a ballot a part if that is more restrictive.

    A part's ballot is the most severe of its experts'. It can only add caution: counted alone, it
    would also take back an alarm that two experts share. A monotone rule stays monotone.

    Args:
        parts: by expert, the part it judged; an expert that is not named judged one of its own.
    """
    by_part: dict[str, int] = {}
    for expert, severity in ballots.items():
        part = parts.get(expert, expert)
        by_part[part] = max(severity, by_part.get(part, severity))
    by_expert, cautious = chosen(ballots), replace(chosen(by_part), by_part=True)
    return cautious if cautious.severity > by_expert.severity else by_expert


def rule(name: str, weights: Mapping[str, float]) -> Rule:
    """The rule called `name`.

    Raises:
        ValueError: no such rule; a negative or infinite weight; weights for a rule that ignores them.
    """
    if name == "weighted":
        _check(list(weights.values()))
        return partial(weighted, weights=weights)
    if weights:
        raise ValueError(f"the voter's rule {name!r} ignores weights: choose `rule: weighted` or remove them")
    if name not in RULES:
        raise ValueError(f"no voter's rule {name!r}; there are {', '.join([*RULES, 'weighted'])}")
    return RULES[name]


def _check(weights: Sequence[float]) -> None:
    if not all(0 <= weight < float("inf") for weight in weights):
        raise ValueError("the voter's weights must be finite and not negative")
