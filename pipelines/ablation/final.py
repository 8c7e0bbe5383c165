"""The candidates that are looked at on `test`, once, after everything has been chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capitoline.modalities.feature_set import FeatureSet
from capitoline.pipelines.ablation.comparison import Finalist
from capitoline.pipelines.ablation.grid import Candidate, seeds_of
from capitoline.pipelines.ablation.outcomes import Combination, outcome
from capitoline.pipelines.ablation.standings import Standing, best_expert
from capitoline.pipelines.ablation.trial import Trial

RULES = ("majority", "upper_median", "most_severe")
"""The voter's, as `rate` knows them."""

CHOSEN, BASELINE, EXPERT = "chosen", "baseline", "best expert"


def roles(
    ranked: Sequence[Standing],
    chosen: Standing,
    baseline: Standing,
    experts: tuple[str, ...],
    strategies: Sequence[str],
) -> dict[Candidate, str]:
    """The candidates to report, the chosen one first, each with all the reasons why."""
    review = chosen.candidate.review
    reasons = [(CHOSEN, chosen), (BASELINE, baseline), (EXPERT, best_expert(ranked, review))]
    reasons += [("voter's rule", one) for one in ranked if one.candidate in _rules(experts, review)]
    reasons += [(f"best {name}", best_of(ranked, name, review)) for name in strategies]
    found: dict[Candidate, str] = {}
    for reason, standing in reasons:
        known = found.get(standing.candidate)
        found[standing.candidate] = f"{known}, {reason}" if known else reason
    return found


def best_of(
    ranked: Sequence[Standing], strategy: str, review: float, experts: tuple[str, ...] | None = None
) -> Standing:
    """The best candidate of a strategy, of all its `experts` if they are given.

    Raises:
        ValueError: there is none.
    """
    for one in ranked:
        named = one.candidate.strategy == strategy and one.candidate.review == review
        if named and experts in (None, one.candidate.experts):
            return one
    raise ValueError(f"{strategy} with {review:.0%} of review is not among what is compared: name it in `strategies`")


def finalists(
    named: Mapping[Candidate, str], ranked: Sequence[Standing], trial: Trial, test: FeatureSet
) -> list[Finalist]:
    """What each of them makes of `test`, with the deciders and margins that `train` and `val` have fixed."""
    standing_of = {one.candidate: one for one in ranked}
    return [_finalist(standing_of[one], role, trial, test) for one, role in named.items()]


def pairs(finalists: Sequence[Finalist]) -> list[tuple[int, int]]:
    """Each finalist less the baseline, then the chosen one less each other."""
    baseline = next(index for index, one in enumerate(finalists) if BASELINE in one.role)
    others = [index for index in range(len(finalists)) if index != baseline]
    return [(index, baseline) for index in others] + [(0, index) for index in others if index and baseline]


def _finalist(standing: Standing, role: str, trial: Trial, test: FeatureSet) -> Finalist:
    candidate, rows = standing.candidate, test.only(standing.candidate.experts)
    seeds = seeds_of(candidate.strategy, trial.seeds)
    outcomes = [
        outcome(
            Combination(candidate, seed),
            test.truth,
            trial.decider(candidate, seed).decide(rows),
            trial.margin(candidate, seed),
        )
        for seed in seeds
    ]
    return Finalist(role, candidate, tuple(outcomes), outcomes[seeds.index(standing.best_seed)])


def _rules(experts: tuple[str, ...], review: float) -> list[Candidate]:
    return [Candidate(rule, experts, 0.0, review) for rule in RULES]
