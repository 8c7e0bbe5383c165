"""The voter: one ballot for each expert that rated; absent experts are silent."""

from __future__ import annotations

from collections.abc import Sequence

from capitoline.modalities.schema import UNRATED, Decoded, Evidence, RatingScale, Verdict
from capitoline.voter.rules import Rule


class Voter:
    """Decides by a rule over ballots. No ballot at all is `UNRATED`, never the mildest label."""

    def __init__(self, scale: RatingScale, rule: Rule, rule_name: str) -> None:
        self.name = f"voter:{rule_name}"
        self._scale, self._rule = scale, rule

    def __call__(self, item: Decoded, evidence: Sequence[Evidence]) -> Verdict:
        ballots = {one.expert: one.severity for one in evidence if one.severity is not None}
        outcome = self._rule(ballots) if ballots else None
        severity = outcome.severity if outcome else None
        return Verdict(
            item_id=item.item.id,
            digest=item.digest,
            rating=UNRATED if severity is None else self._scale.label(severity),
            severity=severity,
            rule=self.name,
            evidence=tuple(evidence),
            tied=tuple(self._scale.label(one) for one in outcome.tied) if outcome else (),
        )
