"""The voter over many items at once: equal, item by item, to `voter.py`, and a thousand times faster.

Legend:  N = items, E = experts, K = labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from capitoline.modalities.ballots import SILENT, Severities, ballots_of, shares_of, totals_of, winners_of
from capitoline.modalities.decisions import Decisions
from capitoline.modalities.feature_set import FeatureSet
from capitoline.voter.rules import rule


class ArrayVoter:
    """One ballot for each expert that rated, decided by a rule of `rules.py`; shares of the ballots as probabilities.

    Raises:
        ValueError: as `rules.rule`.
    """

    def __init__(self, rule_name: str, weights: Mapping[str, float] | None = None) -> None:
        self.name = f"voter:{rule_name}"
        self._rule_name, self._weights = rule_name, weights or {}
        rule(rule_name, self._weights)  # refuses what the voter of one item refuses

    def decide(self, features: FeatureSet) -> Decisions:
        ballots = ballots_of(features)
        weights = [self._weights.get(expert.name, 1.0) for expert in features.experts]
        totals = totals_of(ballots, weights, len(features.labels))
        counted = ARRAY_RULES.get(self._rule_name)
        return Decisions(winners_of(totals) if counted is None else counted(ballots), shares_of(totals))


def most_severe(ballots: Severities) -> Severities:
    """(N, E) → (N,) the most restrictive ballot."""
    return np.asarray(ballots.max(axis=1, initial=SILENT))


def upper_median(ballots: Severities) -> Severities:
    """(N, E) → (N,) the middle ballot, of two middle ones the more restrictive."""
    if not ballots.shape[1]:
        return most_severe(ballots)
    ranked = np.sort(ballots, axis=1)  # the silent ones first
    cast = (ballots != SILENT).sum(axis=1)
    middle = ballots.shape[1] - cast + cast // 2
    chosen = ranked[np.arange(len(ballots)), np.minimum(middle, ballots.shape[1] - 1)]
    return np.where(cast == 0, SILENT, chosen)


ARRAY_RULES: Mapping[str, Callable[[Severities], Severities]] = {
    "most_severe": most_severe,
    "upper_median": upper_median,
}
"""The rules that are no count of ballots; `majority` and `weighted` are."""
