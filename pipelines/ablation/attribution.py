"""What each expert brings: without it, and on average over every order of asking (Shapley)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import comb

Values = Mapping[frozenset[str], float]
"""The figure that each subset of the experts reaches; the empty one's too."""


def leave_one_out(values: Values) -> dict[str, float]:
    """What all experts reach, less what they reach without this one."""
    everyone = max(values, key=len)
    return {name: values[everyone] - values[everyone - {name}] for name in sorted(everyone)}


def shapley(values: Values) -> dict[str, float]:
    """Each expert's mean gain when it joins, over all orders (Shapley 1953, doi:10.1515/9781400881970-018).

    Exact, over all 2^E subsets; the shares add up to what all reach less what nobody reaches.
    """
    everyone = max(values, key=len)
    return {name: _share(name, everyone, values) for name in sorted(everyone)}


def _share(name: str, everyone: frozenset[str], values: Values) -> float:
    others, total = sorted(everyone - {name}), 0.0
    for size in range(len(others) + 1):
        gains = [values[frozenset(some) | {name}] - values[frozenset(some)] for some in combinations(others, size)]
        total += sum(gains) / comb(len(others), size)
    return total / len(everyone)
