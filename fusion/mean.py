"""The mean of the experts' probabilities: the simplest decider that has probabilities of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from capitoline.modalities.schema import UNRATED, Decoded, Evidence, RatingScale, Verdict


class MeanProbability:
    """Averages over the experts that rated; the severity is the upper median of the mean.

    The median of an ordered distribution, not its mode: two experts at PG and two at X must
    not be decided by which peak is a hair higher. An expert that rated without probabilities
    (the tag thresholds) counts as certain of its severity.
    """

    def __init__(self, scale: RatingScale) -> None:
        self.name = "mean"
        self._scale = scale

    def __call__(self, item: Decoded, evidence: Sequence[Evidence]) -> Verdict:
        rows = [self._row(one) for one in evidence if one.severity is not None]
        mean = np.mean(rows, axis=0) if rows else None
        severity = None if mean is None else upper_median(mean)
        probabilities = () if mean is None else tuple(float(value) for value in mean)
        return Verdict(
            item_id=item.item.id,
            digest=item.digest,
            rating=UNRATED if severity is None else self._scale.label(severity),
            severity=severity,
            rule=self.name,
            evidence=tuple(evidence),
            probabilities=probabilities,
        )

    def _row(self, evidence: Evidence) -> npt.NDArray[np.float64]:
        assert evidence.severity is not None
        if evidence.probabilities:
            return np.asarray(evidence.probabilities, dtype=np.float64)
        row = np.zeros(len(self._scale), dtype=np.float64)
        row[evidence.severity] = 1.0
        return row


def upper_median(probabilities: npt.NDArray[np.float64]) -> int:
    """Greatest severity k with P(severity ≥ k) ≥ 1/2, for `probabilities` (K,) summing to 1."""
    at_least = np.cumsum(probabilities[::-1])[::-1]
    # Float sums of thirds and fifths fall a rounding short of one half; a draw must still go up.
    return int(np.flatnonzero(at_least >= 0.5 - 1e-9)[-1])
