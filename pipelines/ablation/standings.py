"""Candidates as the split `val` ranks them, and the choice among them. The split `test` is not known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capitoline.pipelines.ablation.grid import Candidate
from capitoline.pipelines.ablation.outcomes import Measured
from capitoline.pipelines.ablation.robustness import CLEAN


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate's figures on `val`, means over its seeds."""

    candidate: Candidate
    kappa: float
    accuracy: float
    macro_f1: float
    down_rate: float
    down_two_rate: float
    calibration_error: float
    review: float
    """Share of the items that would go to a person."""
    seconds: float
    """CPU seconds an item of its experts."""
    best_seed: int
    """Whose kappa is the highest: the one that would be served."""
    kappas: tuple[float, ...]
    """Of each seed."""


def standings(measured: Sequence[Measured], seconds: Mapping[str, float]) -> list[Standing]:
    """Of the clean condition, the highest kappa first; of equals the cheaper, then the one with fewer experts."""
    by_candidate: dict[Candidate, list[Measured]] = {}
    for one in measured:
        if one.combination.condition == CLEAN:
            by_candidate.setdefault(one.combination.candidate, []).append(one)
    found = [_standing(candidate, some, seconds) for candidate, some in by_candidate.items()]
    return sorted(found, key=lambda one: (-one.kappa, one.seconds, len(one.candidate.experts)))


def best_expert(ranked: Sequence[Standing], review: float) -> Standing:
    """The single expert with the highest kappa, its ballot taken as it is."""
    return next(one for one in ranked if one.candidate.is_expert and one.candidate.review == review)


def select(ranked: Sequence[Standing], review: float, down_slack: float | None) -> Standing:
    """The highest kappa among those that review the share `review`.

    With a `down_slack`, only those whose down-class rate exceeds that of the best single expert by no
    more than it; that expert is one of them, so there is always a choice.
    """
    bound = np.inf if down_slack is None else best_expert(ranked, review).down_rate + down_slack
    return next(one for one in ranked if one.candidate.review == review and one.down_rate <= bound)


def _standing(candidate: Candidate, measured: Sequence[Measured], seconds: Mapping[str, float]) -> Standing:
    kappas = [_worst_if_undefined(one.figures.kappa) for one in measured]

    def mean(name: str) -> float:
        return float(np.mean([getattr(one.figures, name) for one in measured]))

    return Standing(
        candidate=candidate,
        kappa=float(np.mean(kappas)),
        accuracy=mean("accuracy"),
        macro_f1=mean("macro_f1"),
        down_rate=mean("down_rate"),
        down_two_rate=mean("down_two_rate"),
        calibration_error=mean("calibration_error"),
        review=float(np.mean([one.review for one in measured])),
        seconds=sum(seconds[name] for name in candidate.experts),
        best_seed=measured[int(np.argmax(kappas))].combination.seed,
        kappas=tuple(kappas),
    )


def _worst_if_undefined(kappa: float) -> float:
    """Kappa is undefined where all items have one label and are told to have it: nothing was shown, nothing is won."""
    return 0.0 if np.isnan(kappa) else kappa
