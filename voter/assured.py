"""No rating far below what one expert is sure of, however the others vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from capitoline.modalities.schema import Decider, Decoded, Evidence, RatingScale, Verdict

ROUNDING = 1e-6
"""Probabilities of float32 sum to 1 within this."""


class Assured:
    """A decider whose rating is at most one level below the one that some expert is sure the item reaches.

    Ballots alone let two experts that read the same harmless tag outvote the one that read an explicit text. Raised
    by one level less than the expert says, a rating can be too severe only if a calibrated probability is wrong by
    two levels: in none of some thousands of labelled rows was it (LOG.md).
    """

    def __init__(self, decide: Decider, scale: RatingScale, probability: float) -> None:
        """An expert is sure that an item reaches a level if it gives that level and those above it `probability`."""
        self.name = decide.name
        self._decide, self._scale, self._probability = decide, scale, probability

    def __call__(self, item: Decoded, evidence: Sequence[Evidence]) -> Verdict:
        verdict = self._decide(item, evidence)
        sure = [(surely_reached(one.probabilities, self._probability), one.expert) for one in verdict.evidence]
        reached, expert = max(sure, default=(0, ""))
        if verdict.severity is None or reached - 1 <= verdict.severity:
            return verdict
        reason = f"{expert} is sure of {self._scale.label(reached)} or more; the others would make it {verdict.rating}"
        raised = replace(verdict, rating=self._scale.label(reached - 1), severity=reached - 1, tied=())
        return replace(raised, review=(reason, *verdict.review))


def surely_reached(probabilities: Sequence[float], probability: float) -> int:
    """The greatest level that (K,) `probabilities` reach with `probability` or more; 0 if there are none."""
    reaching = list(accumulate(reversed(probabilities)))[::-1]
    return max((level for level, one in enumerate(reaching) if one >= probability - ROUNDING), default=0)
