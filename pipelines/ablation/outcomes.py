"""A candidate's decisions about the labelled items of a split, as they would be served, and their figures.

Legend:  N = items, K = labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capitoline.modalities.decisions import NOT_RATED, Decisions
from capitoline.modalities.networks.ordinal import decide
from capitoline.pipelines.ablation.grid import Candidate
from capitoline.pipelines.ablation.robustness import CLEAN, Condition
from capitoline.pipelines.evaluation.calibration import calibration_error
from capitoline.pipelines.evaluation.metrics import Figures, Severities, measure


@dataclass(frozen=True, slots=True)
class Combination:
    """A candidate, trained from one seed, in one condition."""

    candidate: Candidate
    seed: int = 0
    condition: Condition = CLEAN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a combination made of N items of one split."""

    combination: Combination
    truth: Severities
    """(N,)"""
    severities: Severities
    """(N,) an unrated item counts as the most severe label: it is withheld from everybody."""
    probabilities: npt.NDArray[np.float32]
    """(N, K) zeros where not rated."""
    rated: npt.NDArray[np.bool_]
    """(N,)"""
    margin: float
    """Items whose two likeliest labels differ by less than this go to a person."""

    @property
    def margins(self) -> npt.NDArray[np.float32]:
        """(N,) difference of the two likeliest labels; 0 where not rated."""
        return margins_of(self.probabilities)

    @property
    def automatic(self) -> npt.NDArray[np.bool_]:
        """(N,) what no person looks at."""
        return self.margins >= self.margin

    def figures(self) -> Figures:
        """Of what no person looks at; the error of calibration, of what was rated of it."""
        kept = self.automatic
        told = kept & self.rated
        found = measure(self.truth[kept], self.severities[kept], self.probabilities.shape[1])
        if not told.any():
            return found
        return replace(found, calibration_error=calibration_error(self.probabilities[told], self.truth[told]))


@dataclass(frozen=True, slots=True)
class Measured:
    """A combination's figures on one split."""

    combination: Combination
    split: str
    items: int
    unrated: float
    """Share of the items that no expert of it rated."""
    review: float
    """Share that goes to a person."""
    margin: float
    figures: Figures
    """Of what no person looks at."""


def outcome(combination: Combination, truth: Severities, decisions: Decisions, margin: float = 0.0) -> Outcome:
    """Decisions at the candidate's cost, those of less than `margin` for a person."""
    rated = decisions.severities != NOT_RATED
    cost = combination.candidate.down_cost
    severities = decide(decisions.probabilities, cost) if cost else decisions.severities
    withheld = np.where(rated, severities, decisions.probabilities.shape[1] - 1)
    return Outcome(combination, truth, withheld, decisions.probabilities, rated, margin)


def margin_for(decisions: Decisions, share: float) -> float:
    """The greatest margin below which at most `share` of the items lie."""
    return float(np.sort(margins_of(decisions.probabilities))[int(share * len(decisions.severities))]) if share else 0.0


def margins_of(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, K) → (N,) difference of the two likeliest labels; 0 where not rated."""
    ranked = np.sort(probabilities, axis=1)
    margins: npt.NDArray[np.float32] = ranked[:, -1] - ranked[:, -2]
    return margins


def measured(outcome: Outcome, split: str) -> Measured:
    return Measured(
        combination=outcome.combination,
        split=split,
        items=len(outcome.truth),
        unrated=float(1 - outcome.rated.mean()),
        review=float(1 - outcome.automatic.mean()),
        margin=outcome.margin,
        figures=outcome.figures(),
    )
