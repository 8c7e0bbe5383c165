"""Deciders fitted to rows that no expert has seen: what all of them promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capitoline.fusion.files import read_decider, refuse_other_weights, write_decider
from capitoline.fusion.fitted import FittedDecider, least_cost
from capitoline.fusion.options import MlpOptions, Options
from capitoline.fusion.serving import Serving
from capitoline.modalities.decisions import NOT_RATED
from capitoline.modalities.feature_set import UNKNOWN, FeatureSet
from capitoline.modalities.schema import UNRATED, RatingScale
from capitoline.pipelines.strategies import FITTED, STRATEGIES
from tests.deciding.arrays import LABELS, decoded, evidence_of, expert, feature_set

OPTIONS = Options(down_cost=1.3, mlp=MlpOptions(members=2, epochs=4))


def halves(features: FeatureSet) -> tuple[FeatureSet, FeatureSet]:
    rows = np.arange(len(features))
    return features.at(rows[::2]), features.at(rows[1::2])


@pytest.fixture(scope="module")
def fitted(films: FeatureSet) -> dict[str, FittedDecider]:
    rows, _ = halves(films)
    return {name: fit(rows, OPTIONS) for name, fit in FITTED.items()}


def with_gaps(features: FeatureSet) -> FeatureSet:
    """Every subset of the experts, and nobody at all, among the items."""
    shown = [np.arange(len(features)) >> place & 1 == 0 for place in range(len(features.experts))]
    pairs = zip(features.experts, shown, strict=True)
    experts = [expert(one.name, one.probabilities, one.rated & seen, one.features) for one, seen in pairs]
    return replace(features, experts=tuple(experts))


@pytest.mark.parametrize("name", FITTED)
def test_many_real_items_are_decided_as_each_alone(
    name: str, films: FeatureSet, fitted: dict[str, FittedDecider]
) -> None:
    asked = with_gaps(halves(films)[1])
    decisions = fitted[name].decide(asked)
    serving = Serving(fitted[name], RatingScale(asked.labels))
    for row in range(len(asked)):
        verdict = serving(decoded(asked, row), evidence_of(asked, row))
        assert (NOT_RATED if verdict.severity is None else verdict.severity) == decisions.severities[row]
        assert verdict.probabilities or verdict.rating == UNRATED
        np.testing.assert_allclose(verdict.probabilities or 0, decisions.probabilities[row], atol=1e-5)


@pytest.mark.parametrize("name", STRATEGIES)
def test_nobody_rated_is_never_the_mildest_label(name: str, films: FeatureSet) -> None:
    rows, asked = halves(films)
    silent = [expert(one.name, one.probabilities, one.rated & False) for one in asked.experts]
    decisions = STRATEGIES[name](rows, OPTIONS).decide(replace(asked, experts=tuple(silent)))
    assert (decisions.severities == NOT_RATED).all()
    assert not decisions.probabilities.any()


@pytest.mark.parametrize("name", STRATEGIES)
def test_probabilities_sum_to_one_where_rated(name: str, films: FeatureSet) -> None:
    rows, asked = halves(films)
    decisions = STRATEGIES[name](rows, OPTIONS).decide(with_gaps(asked))
    np.testing.assert_allclose(decisions.probabilities.sum(1), decisions.severities != NOT_RATED, atol=1e-5)


@pytest.mark.parametrize("name", FITTED)
def test_a_saved_decider_decides_to_the_bit_as_the_fitted_one(
    name: str, films: FeatureSet, fitted: dict[str, FittedDecider], tmp_path: Path
) -> None:
    path = tmp_path / "fusion.safetensors"
    write_decider(path, fitted[name], {"rows": 100})
    asked = with_gaps(halves(films)[1])
    again, first = read_decider(path).decide(asked), fitted[name].decide(asked)
    assert (again.severities == first.severities).all()
    assert (again.probabilities == first.probabilities).all()


@pytest.mark.parametrize("name", FITTED)
def test_the_same_seed_fits_the_same_decider(name: str, films: FeatureSet, fitted: dict[str, FittedDecider]) -> None:
    again = FITTED[name](halves(films)[0], OPTIONS)
    assert all((again.tensors[key] == one).all() for key, one in fitted[name].tensors.items())


@pytest.mark.parametrize("name", FITTED)
def test_rows_that_an_expert_was_trained_on_are_refused(name: str, films: FeatureSet) -> None:
    seen = films.experts[0]
    rows = replace(films, experts=(replace(seen, unseen=seen.unseen & False), *films.experts[1:]))
    with pytest.raises(ValueError, match="had been seen in the training of 'tags': it is surer there"):
        FITTED[name](rows, OPTIONS)


@pytest.mark.parametrize("name", FITTED)
def test_a_set_without_labels_is_refused(name: str, films: FeatureSet) -> None:
    with pytest.raises(ValueError, match="nothing to fit on"):
        FITTED[name](replace(films, truth=np.full(len(films), UNKNOWN)), OPTIONS)


def test_another_scale_or_an_expert_that_was_not_fitted_is_refused(
    films: FeatureSet, fitted: dict[str, FittedDecider]
) -> None:
    stranger = expert("video", films.experts[0].probabilities)
    for decider in fitted.values():
        with pytest.raises(ValueError, match="do not include video"):
            decider.decide(replace(films, experts=(*films.experts, stranger)))
        with pytest.raises(ValueError, match="fitted on PG < PG13"):
            decider.decide(replace(films, labels=LABELS))


def test_serving_with_other_weights_or_more_experts_is_refused(
    films: FeatureSet, fitted: dict[str, FittedDecider]
) -> None:
    frame = fitted["stacking"].frame
    weights = {one.name: one.weights for one in films.experts}
    refuse_other_weights(frame, weights)
    refuse_other_weights(frame, {"text": weights["text"]})  # an expert that is missing is absent
    with pytest.raises(ValueError, match="other weights of text"):
        refuse_other_weights(frame, weights | {"text": "0" * 32})
    with pytest.raises(ValueError, match="would ignore video"):
        refuse_other_weights(frame, weights | {"video": "0" * 32})


@pytest.mark.parametrize("name", FITTED)
def test_severity_is_position_whatever_the_labels_are_called(name: str) -> None:
    draw = np.random.default_rng(0)
    truth = np.arange(150) % len(LABELS)
    probabilities = np.where(np.eye(len(LABELS))[truth] > 0, 0.8, 0.05).astype(np.float32)
    experts = [expert(one, draw.permuted(probabilities, axis=0)) for one in "ab"] + [expert("c", probabilities)]
    rows = feature_set(experts, truth)
    decider = FITTED[name](rows, OPTIONS)
    if name != "calibrated_most_severe":  # which follows the two who guess, when they are alarmed
        assert (decider.decide(rows).severities == truth).mean() > 0.9
    assert LABELS[int(decider.decide(rows.only(["c"])).severities[4])] == "NC-17"


@pytest.mark.parametrize("name", ["stacking", "mlp", "calibrated_most_severe"])
def test_a_rating_above_all_that_was_taught_is_left_to_the_experts(
    name: str, films: FeatureSet, fitted: dict[str, FittedDecider]
) -> None:
    """The films go up to R. Experts who are sure of XXX must not be calibrated away by rows that had none."""
    sure = np.tile(np.array([0, 0, 0, 0, 1], np.float32), (1, 1))
    pictures = [expert(one.name, sure, features=one.features[:1]) for one in films.experts]
    asked = replace(films.at(np.arange(1)), experts=tuple(pictures))
    assert films.truth.max() == 2
    assert fitted[name].decide(asked).severities == [4]


def test_in_bulk_only_the_item_whose_probabilities_are_no_numbers_is_unrated() -> None:
    decisions = least_cost(np.array([[0.1, 0.9], [np.nan, np.nan], [0.8, 0.2]]), np.ones((3, 1), bool), 1.0)
    assert decisions.severities.tolist() == [1, NOT_RATED, 0]
    assert not decisions.probabilities[1].any()
