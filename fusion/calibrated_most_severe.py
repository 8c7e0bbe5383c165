"""The most severe of the calibrated experts decides: the cautious strategy, without the false alarms of raw ballots."""

from __future__ import annotations

import numpy as np

from capitoline.fusion.calibration import fit_calibration
from capitoline.fusion.fitted import Frame, Tensors, frame_of, least_cost, rows_to_fit
from capitoline.fusion.log_odds import by_expert, distribution
from capitoline.fusion.options import Options
from capitoline.modalities.decisions import Decisions
from capitoline.modalities.feature_set import FeatureSet


class CalibratedMostSevere:
    """Follows, for each item, the expert of the highest expected severity once all are calibrated."""

    name = "fusion:calibrated_most_severe"

    def __init__(self, frame: Frame, tensors: Tensors) -> None:
        """`tensors`: `slopes` and `shifts` (E, K-1)."""
        self.frame, self.tensors = frame, tensors

    def decide(self, features: FeatureSet) -> Decisions:
        self.frame.check(features)
        odds, rated = by_expert(features, self.frame.names)
        each = distribution(odds * self.tensors["slopes"] + self.tensors["shifts"])
        expected = np.where(rated, each @ np.arange(each.shape[2], dtype=np.float32), -1.0)
        probabilities = each[np.arange(len(features)), expected.argmax(axis=1)]
        return least_cost(probabilities, rated, self.frame.down_cost)


def fit(features: FeatureSet, options: Options) -> CalibratedMostSevere:
    """Calibrate every expert on rows that none has seen. Raises ValueError as `rows_to_fit`."""
    rows, frame = rows_to_fit(features), frame_of(features, options.down_cost)
    slopes, shifts = fit_calibration(*by_expert(rows, frame.names), rows.truth)
    return CalibratedMostSevere(frame, {"slopes": slopes.astype(np.float32), "shifts": shifts.astype(np.float32)})
