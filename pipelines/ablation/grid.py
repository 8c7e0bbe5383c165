"""What is compared: strategies × experts × costs × shares of review, each from several seeds, in several conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product


@dataclass(frozen=True, slots=True, order=True)
class Fit:
    """One training of one strategy; strategies that learn nothing are fitted too, in no time."""

    strategy: str
    experts: tuple[str, ...]
    seed: int = 0
    share: float = 1.0
    """Of the training groups."""


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """What can be chosen, and put in service by a configuration."""

    strategy: str
    experts: tuple[str, ...]
    down_cost: float = 0.0
    """Cost of a level too mild, in costs of a level too severe, of a strategy that decides by cost; else 0."""
    review: float = 0.0
    """Share of the items that may go to a person, those of the thinnest margin."""

    @property
    def name(self) -> str:
        """As people read it: `mlp · image+tags · cost 1.5 · review 10 %`."""
        parts = [f"{self.experts[0]} alone" if self.is_expert else f"{self.strategy} · {'+'.join(self.experts)}"]
        parts += [f"cost {self.down_cost:g}"] if self.down_cost else []
        return " · ".join([*parts, f"review {self.review:.0%}"] if self.review else parts)

    @property
    def is_expert(self) -> bool:
        """Whether it is one expert, asked without any decider."""
        return self.strategy == EXPERT


EXPERT = "expert"
"""A single expert's ballot as it is: what every vote of one expert comes to."""

VOTES = ("majority", "upper_median", "most_severe", "weighted_vote")
"""They decide by ballots, so no cost applies."""

BY_COST = ("calibrated_most_severe", "dawid_skene", "mlp", "stacking")
"""They decide by expected cost, so each cost is another decision of the same fit."""

SEEDED = ("mlp",)
"""What comes out differently from another seed."""


def subsets(experts: Sequence[str]) -> list[tuple[str, ...]]:
    """Every subset of the experts but the empty one, small ones first."""
    return [some for size in range(1, len(experts) + 1) for some in combinations(sorted(experts), size)]


def candidates(
    strategies: Sequence[str], experts: Sequence[str], down_costs: Sequence[float], reviews: Sequence[float]
) -> list[Candidate]:
    """Every choice that can differ from the others, each expert alone among them."""
    alone = [Candidate(EXPERT, (one,), 0.0, review) for one, review in product(sorted(experts), reviews)]
    return alone + [
        Candidate(strategy, some, cost, review)
        for strategy, some, review in product(strategies, subsets(experts), reviews)
        if strategy not in VOTES or len(some) > 1
        for cost in (down_costs if strategy in BY_COST else (0.0,))
    ]


def fits(chosen: Sequence[Candidate], seeds: Sequence[int]) -> list[Fit]:
    """The trainings that these candidates need: one for each strategy, subset and seed."""
    wanted = dict.fromkeys((one.strategy, one.experts) for one in chosen)
    return [Fit(*one, seed) for one in wanted for seed in seeds_of(one[0], seeds)]


def seeds_of(strategy: str, seeds: Sequence[int]) -> Sequence[int]:
    return seeds if strategy in SEEDED else seeds[:1]
