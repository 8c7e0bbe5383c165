"""The fusion network: NumPy decides as PyTorch trained, and a missing expert never makes a verdict milder."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from capitoline.fusion import mlp_training, stacking
from capitoline.fusion.log_odds import distribution
from capitoline.fusion.mlp import Mlp, inputs_of, more_severe
from capitoline.fusion.network import FusionNetwork
from capitoline.fusion.options import MlpOptions, Options
from capitoline.modalities.feature_set import FeatureSet
from capitoline.modalities.networks.ordinal import decide
from tests.deciding.arrays import expert, feature_set

OPTIONS = Options(down_cost=1.2, mlp=MlpOptions(members=2, epochs=6, samples=64))
WIDTH = 6

Array = npt.NDArray[np.float32]


def crossed(items: int, seed: int) -> FeatureSet:
    """Two experts whose pre-logits tell the label only together, beside one that knows a little."""
    draw = np.random.default_rng(seed)
    left, right = draw.integers(0, 2, (2, items))
    truth = 2 * (left ^ right)
    features = [np.eye(WIDTH)[one] * 3 + draw.normal(size=(items, WIDTH)) * 0.3 for one in (left, right)]
    even = np.full((items, 3), 1 / 3, np.float32)
    hint = distribution(np.where(truth[:, None] > np.arange(2), 0.5, -0.5) + draw.normal(size=(items, 2)))
    experts = [expert(name, even, features=one.astype(np.float32)) for name, one in zip("ab", features, strict=True)]
    return feature_set([*experts, expert("c", hint)], truth, ("G", "PG", "NC-17"))


@pytest.fixture(scope="module")
def learned() -> Mlp:
    options = MlpOptions(width=16, hidden=32, dropout=0.0, members=1, epochs=60, rate=1e-2, missing=0.1)
    return mlp_training.fit(crossed(600, 0), replace(OPTIONS, mlp=options))


def test_it_learns_what_no_sum_of_the_experts_says(learned: Mlp) -> None:
    asked = crossed(300, 1)
    assert (learned.decide(asked).severities == asked.truth).mean() > 0.95


def test_numpy_decides_what_pytorch_trained(films: FeatureSet) -> None:
    decider = mlp_training.fit(films, replace(OPTIONS, mlp=replace(OPTIONS.mlp, members=1)))
    inputs = inputs_of(films, decider.frame, tuple(one.features.shape[1] for one in films.experts))
    stack = stacking.fit(films, OPTIONS)
    network = FusionNetwork(tuple(one.shape[1] for one in inputs.features), stack, OPTIONS.mlp)
    own = {name[2:]: torch.from_numpy(one) for name, one in decider.tensors.items() if name.startswith("0.")}
    network.load_state_dict(own | {"alone": torch.zeros_like(network.alone)})
    network.eval()
    features = [torch.from_numpy(one) for one in inputs.features]
    logits = (
        network(features, torch.from_numpy(inputs.odds), torch.from_numpy(inputs.rated))[0].detach().numpy()
        / decider.tensors["temperature"]
    )
    taught = int(decider.tensors["taught"].sum())
    whole = inputs.rated.all(axis=1)
    ours = decider.decide(films).probabilities
    theirs = distribution(logits[:, :taught])
    np.testing.assert_allclose(ours[whole][:, :taught], theirs[whole][:, :taught], atol=1e-5)


@pytest.mark.parametrize("missing", [names for size in (1, 2) for names in combinations("abc", size)])
def test_a_missing_expert_is_no_milder_than_the_mean_over_what_it_might_say(
    missing: tuple[str, ...], learned: Mlp
) -> None:
    """The mean is over fresh values, not over those that the decider keeps."""
    asked, others = crossed(60, 2), crossed(400, 3)
    kept = [one for one in asked.experts if one.name not in missing]
    without = learned.decide(replace(asked, experts=tuple(kept)))
    imagined = np.stack([mean_over(learned, asked, others, row, missing) for row in range(len(asked))])
    reached = [np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in (without.probabilities, imagined)]
    tolerance = 0.1  # the decider keeps 64 values of each expert, so its mean is another sample's
    assert (reached[0] >= reached[1] - tolerance).all()
    surely = (np.cumsum(imagined, axis=1)[:, :-1] < 1.2 / 2.2 - tolerance).sum(axis=1)
    assert (without.severities >= surely).all()


def mean_over(decider: Mlp, asked: FeatureSet, others: FeatureSet, row: int, missing: tuple[str, ...]) -> Array:
    """(K,) mean probabilities of item `row` with the missing experts' values taken from each of the others."""
    rows = np.full(len(others), row)
    held = {one.name: one for one in others.experts}
    experts = tuple(held[one.name] if one.name in missing else one.at(rows) for one in asked.experts)
    return np.asarray(decider.decide(replace(others, experts=experts)).probabilities.mean(axis=0))


def test_on_real_films_the_promise_holds_to_the_bit_over_the_values_that_are_kept(films: FeatureSet) -> None:
    decider = mlp_training.fit(films, OPTIONS)
    rows = np.flatnonzero(np.all([one.rated for one in films.experts], axis=0))
    inputs = inputs_of(films, decider.frame, tuple(one.features.shape[1] for one in films.experts))
    for name in decider.frame.names:
        present = np.array([one != name for one in decider.frame.names])
        imagined = decider.imagined(inputs, rows, present)
        without = decider.decide(films.only([one for one in decider.frame.names if one != name]).at(rows))
        expected = [one @ np.arange(imagined.shape[1]) for one in (without.probabilities, imagined)]
        assert (expected[0] >= expected[1] - 1e-5).all()
        assert (without.severities >= decide(imagined, OPTIONS.down_cost)).all()


distributions = arrays(np.float64, (5, 4), elements=st.floats(0.01, 1)).map(
    lambda raw: (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
)


@given(distributions, distributions, st.floats(0.5, 4))
def test_the_more_severe_of_two_is_a_distribution_and_milder_than_neither(
    one: Array, other: Array, down_cost: float
) -> None:
    both = more_severe(one, other)
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-5)
    assert (both @ np.arange(4) >= np.maximum(one @ np.arange(4), other @ np.arange(4)) - 1e-5).all()
    away = np.abs(np.cumsum(both, axis=1) - down_cost / (1 + down_cost)).min() > 1e-5  # from a rounding's edge
    if away:
        assert (decide(both, down_cost) >= np.maximum(decide(one, down_cost), decide(other, down_cost))).all()
