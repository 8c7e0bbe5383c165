"""Four rules that turn ballots into one severity.

A ballot is an integer severity, so "more restrictive" is "greater" and nothing compares
labels. `majority` is the product's default; because plurality is not monotone under any
tie-break (ballots 0,1,2 give 2, but 1,1,2 give 1: more alarm, a milder verdict), the
monotone `upper_median` stands beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule made of the ballots."""

    severity: int
    tied: tuple[int, ...] = ()
    """The severities that drew, mildest first; empty without a draw."""


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
"""The rules that need nothing but ballots; `weighted` is made by `rule`."""


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
