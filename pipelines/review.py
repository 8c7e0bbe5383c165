"""When a verdict is also sent to a person, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from capitoline.modalities.schema import FAILURES, UNRATED, Decider, Decoded, Evidence, Outcome, RatingScale, Verdict


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """Numbers of `configs.settings.Review`, which documents them."""

    disagreement: int = 2
    margin: float = 0.0
    labels: tuple[str, ...] = ()


class Reviewed:
    """A decider whose verdicts say why a person should look at them."""

    def __init__(self, decide: Decider, scale: RatingScale, policy: ReviewPolicy) -> None:
        self.name = decide.name
        self._decide, self._scale, self._policy = decide, scale, policy
        for label in policy.labels:
            scale.severity(label)  # a ValueError now, not a label that never matches

    def __call__(self, item: Decoded, evidence: Sequence[Evidence]) -> Verdict:
        verdict = self._decide(item, evidence)
        found = [
            *verdict.review,
            self._unrated(verdict),
            self._reservation(verdict),
            self._disagreement(verdict),
            self._margin(verdict),
            self._label(verdict),
            *(f"{one.expert} failed: {one.reason}" for one in evidence if one.outcome in FAILURES),
            *item.notes,
        ]
        return replace(verdict, review=tuple(reason for reason in found if reason))

    def _unrated(self, verdict: Verdict) -> str:
        if verdict.review or verdict.severity is not None:
            return ""
        why = [f"{one.expert}: {one.reason}" for one in verdict.evidence if one.outcome is Outcome.ABSTAINED]
        return f"{UNRATED}: no expert could rate it" + (f" ({'; '.join(why)})" if why else "")

    def _reservation(self, verdict: Verdict) -> str:
        """A rating that rests only on experts who could not look at everything needs a second look."""
        rated = [one for one in verdict.evidence if one.severity is not None]
        reserved = [f"{one.expert}: {one.reason}" for one in rated if one.reason]
        return "; ".join(reserved) if reserved and len(reserved) == len(rated) else ""

    def _disagreement(self, verdict: Verdict) -> str:
        ballots = [one.severity for one in verdict.evidence if one.severity is not None]
        if not ballots or max(ballots) - min(ballots) < self._policy.disagreement:
            return ""
        return f"experts disagree from {self._scale.label(min(ballots))} to {self._scale.label(max(ballots))}"

    def _margin(self, verdict: Verdict) -> str:
        if not verdict.probabilities:
            return ""
        second, first = sorted(verdict.probabilities)[-2:]
        return f"thin margin: {first:.2f} against {second:.2f}" if first - second < self._policy.margin else ""

    def _label(self, verdict: Verdict) -> str:
        return f"{verdict.rating} always goes to review" if verdict.rating in self._policy.labels else ""
