"""Every way to decide, by name: what `capitoline fuse` fits and `capitoline ablate` compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from capitoline.fusion import calibrated_most_severe, dawid_skene, stacking, weighted_vote
from capitoline.fusion.fitted import FittedDecider
from capitoline.fusion.mean import MeanProbability
from capitoline.fusion.options import Options
from capitoline.modalities.decisions import ArrayDecider
from capitoline.modalities.feature_set import FeatureSet
from capitoline.voter.many import ArrayVoter


def _mlp(features: FeatureSet, options: Options) -> FittedDecider:
    from capitoline.fusion.mlp_training import fit

    return fit(features, options)


FITTED: Mapping[str, Callable[[FeatureSet, Options], FittedDecider]] = {
    "calibrated_most_severe": calibrated_most_severe.fit,
    "weighted_vote": weighted_vote.fit,
    "dawid_skene": dawid_skene.fit,
    "stacking": stacking.fit,
    "mlp": _mlp,
}
"""Strategies with something to fit, on rows that no expert has seen; all raise ValueError for others."""

STRATEGIES: Mapping[str, Callable[[FeatureSet, Options], ArrayDecider]] = {
    "majority": lambda features, options: ArrayVoter("majority"),
    "upper_median": lambda features, options: ArrayVoter("upper_median"),
    "most_severe": lambda features, options: ArrayVoter("most_severe"),
    "weighted": lambda features, options: ArrayVoter("weighted", options.ballot_weights),
    "mean": lambda features, options: MeanProbability(),
    **FITTED,
}
"""Labelled rows and options → a decider."""
