"""No mild rating for what nobody could look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from capitoline.modalities.schema import FAILURES, UNRATED, Decider, Decoded, Evidence, Outcome, Verdict


class Cautious:
    """A decider that withholds its rating when a part of the item was seen by nobody.

    A film whose pictures cannot be decoded must not come out as PG because its sound is
    harmless. The most restrictive rating stands, since what is hidden cannot be worse.
    """

    def __init__(self, decide: Decider, most_severe: int) -> None:
        """`most_severe` is the last position of the scale."""
        self.name = decide.name
        self._decide, self._most_severe = decide, most_severe

    def __call__(self, item: Decoded, evidence: Sequence[Evidence]) -> Verdict:
        verdict = self._decide(item, evidence)
        hidden = unseen(item, evidence)
        if not hidden or verdict.severity in (None, self._most_severe):
            return verdict
        reason = f"{', '.join(hidden)} could not be looked at; what could be would make it {verdict.rating}"
        return replace(verdict, rating=UNRATED, severity=None, review=(reason, *verdict.review))


def unseen(item: Decoded, evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Parts that could not be decoded, or that no expert could look at though some were to; files of unknown kind."""
    looked = {one.modality for one in evidence if one.outcome in (Outcome.RATED, Outcome.ABSTAINED)}
    failed = {one.modality for one in evidence if one.outcome in FAILURES} - looked
    parts = [str(one) for one in item.parts if one in item.failures or one in failed]
    return (*parts, *(["a file"] if item.unreadable else []))
