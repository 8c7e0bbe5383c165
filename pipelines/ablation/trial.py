"""Every combination, decided and measured on `val`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capitoline.modalities.decisions import ArrayDecider
from capitoline.modalities.feature_set import FeatureSet
from capitoline.pipelines.ablation.fitting import Fitted, Task, run_fits
from capitoline.pipelines.ablation.grid import Candidate, Fit, fits, seeds_of
from capitoline.pipelines.ablation.outcomes import Combination, Measured, Outcome, margin_for, measured, outcome
from capitoline.pipelines.ablation.robustness import CLEAN, Condition


@dataclass(frozen=True, slots=True)
class Trial:
    """The fitted deciders and what they decided, from which any candidate's outcome follows."""

    fitted: Mapping[Fit, Fitted]
    rows: Mapping[Condition, FeatureSet]
    """Of `val`, in each condition."""
    seeds: Sequence[int]

    def combinations(self, candidates: Sequence[Candidate], review: float) -> list[Combination]:
        """Each candidate from each of its seeds; in a faulty condition only those that review the share `review`."""
        return [
            Combination(one, seed, condition)
            for one in candidates
            for seed in seeds_of(one.strategy, self.seeds)
            for condition in self._of(one, seed).decisions
            if condition == CLEAN or one.review == review
        ]

    def outcome(self, combination: Combination) -> Outcome:
        decisions = self._of(combination.candidate, combination.seed).decisions[combination.condition]
        truth = self.rows[combination.condition].truth
        return outcome(combination, truth, decisions, self.margin(combination.candidate, combination.seed))

    def outcomes(self, candidate: Candidate) -> list[Outcome]:
        """Of the clean rows, from each seed."""
        return [self.outcome(Combination(candidate, seed)) for seed in seeds_of(candidate.strategy, self.seeds)]

    def measured(self, combinations: Sequence[Combination]) -> list[Measured]:
        return [measured(self.outcome(one), "val") for one in combinations]

    def margin(self, candidate: Candidate, seed: int) -> float:
        """Under which an item goes to a person, as the clean rows of `val` set it."""
        return margin_for(self._of(candidate, seed).decisions[CLEAN], candidate.review)

    def decider(self, candidate: Candidate, seed: int) -> ArrayDecider:
        return self._of(candidate, seed).decider

    def _of(self, candidate: Candidate, seed: int) -> Fitted:
        return self.fitted[Fit(candidate.strategy, candidate.experts, seed)]


def trial(task: Task, candidates: Sequence[Candidate], further: Sequence[Fit], seeds: Sequence[int]) -> Trial:
    """Fits all that the `candidates` need, and what is asked for `further`; the slow strategies first."""
    wanted = sorted({*fits(candidates, seeds), *further}, key=lambda fit: fit.strategy not in SLOW)
    return Trial({one.fit: one for one in run_fits(task, wanted)}, task.rows, seeds)


SLOW = ("mlp", "dawid_skene")
