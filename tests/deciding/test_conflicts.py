"""What deciders make of contradictions, on a *synthetic* pairing of clips and texts. No figure here is of quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capitoline.fusion.options import MlpOptions, Options
from capitoline.modalities.feature_set import FeatureSet
from capitoline.pipelines.strategies import STRATEGIES
from tests.deciding.synthetic import LABELS, contradicted, synthetic_pairs

OPTIONS = Options(down_cost=1.2, mlp=MlpOptions(members=2, epochs=8))
PG, X = LABELS.index("PG"), LABELS.index("X")


@pytest.fixture(scope="module")
def pairs(data: Path) -> FeatureSet:
    return synthetic_pairs(data)


def test_a_fusion_fitted_on_every_rating_uses_every_rating(pairs: FeatureSet) -> None:
    for name in ("stacking", "mlp", "dawid_skene"):
        decided = STRATEGIES[name](pairs, OPTIONS).decide(pairs)
        assert decided.severities.max() == len(LABELS) - 1
        assert (np.abs(decided.severities - pairs.truth) <= 1).mean() > 0.6


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_x_caption_makes_no_pg_film_milder_on_average(name: str, pairs: FeatureSet) -> None:
    decider = STRATEGIES[name](pairs, OPTIONS)
    agreeing = decider.decide(pairs.at(np.flatnonzero(pairs.truth == PG))).severities
    against = decider.decide(contradicted(pairs, film=PG, caption=X)).severities
    assert against.mean() >= agreeing.mean()


@pytest.mark.parametrize("name", ["majority", "most_severe", "upper_median", "weighted"])
def test_two_ballots_that_contradict_each_other_give_the_more_restrictive(name: str, pairs: FeatureSet) -> None:
    against = contradicted(pairs, film=PG, caption=X)
    ballots = np.stack([one.severities for one in against.experts])
    assert (STRATEGIES[name](pairs, OPTIONS).decide(against).severities == ballots.max(axis=0)).all()


@pytest.mark.parametrize("name", ["mean", "stacking", "mlp", "calibrated_most_severe"])
def test_the_caption_is_heard_in_the_expected_severity(name: str, pairs: FeatureSet) -> None:
    """The expected severity of the contradicted films rises with the caption's rating."""
    decider = STRATEGIES[name](pairs, OPTIONS)
    expected = [
        float((decider.decide(contradicted(pairs, PG, caption)).probabilities @ np.arange(len(LABELS))).mean())
        for caption in (PG, X)
    ]
    assert expected[1] > expected[0]
