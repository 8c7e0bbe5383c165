"""Stacking, calibration and the fitted vote against naive twins."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from capitoline.fusion import calibrated_most_severe, stacking, weighted_vote
from capitoline.fusion.calibration import fit_calibration
from capitoline.fusion.continuation import fit_steps
from capitoline.fusion.log_odds import by_expert, distribution, log_odds
from capitoline.fusion.options import Options
from capitoline.modalities.ballots import ballots_of, totals_of, winners_of
from capitoline.modalities.feature_set import FeatureSet
from tests.deciding.arrays import ballots_only, expert, feature_set


def noisy(skills: tuple[float, ...], items: int = 400, seed: int = 0) -> FeatureSet:
    """Experts whose log-odds are the truth's, `skill` times, plus noise; three labels."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 3, items)
    signal = np.where(truth[:, None] > np.arange(2), 1.0, -1.0)
    said = [distribution(skill * signal + draw.normal(size=signal.shape)) for skill in skills]
    return feature_set([expert("abc"[place], one) for place, one in enumerate(said)], truth, ("G", "PG", "NC-17"))


def test_log_odds_and_distribution_undo_each_other() -> None:
    odds = np.random.default_rng(0).uniform(-1, 1, size=(50, 4))
    np.testing.assert_allclose(log_odds(distribution(odds)), odds, atol=0.05)  # the floor takes the difference


def test_newton_finds_where_the_penalised_likelihood_is_flat() -> None:
    rows = noisy((1.0, 0.3))
    odds, _ = by_expert(rows, ["a", "b"])
    design = odds.transpose(0, 2, 1)
    start = np.full(2, 0.5)
    fitted = fit_steps(design, rows.truth, start, ridge=1.0)

    def penalised(parameters: npt.NDArray[np.float64]) -> float:
        chosen = distribution(design @ parameters)[np.arange(len(rows)), rows.truth].astype(np.float64)
        return float(np.log(chosen).sum() - ((parameters - start) ** 2).sum() / 2)

    nearby = [penalised(fitted + 0.02 * np.array(step)) for step in product((-1, 1), repeat=2)]
    assert penalised(fitted) > max(nearby)


def test_calibration_tames_an_expert_that_is_too_sure() -> None:
    rows = noisy((0.5,))
    odds, rated = by_expert(rows, ["a"])
    slopes, shifts = fit_calibration(4 * odds, rated, rows.truth)
    honest, own = fit_calibration(odds, rated, rows.truth)
    np.testing.assert_allclose(slopes, honest / 4, rtol=0.1)
    np.testing.assert_allclose(shifts, own, atol=0.1)


def test_stacking_trusts_the_better_expert_more() -> None:
    parameters = stacking.fit(noisy((1.5, 0.3)), Options()).tensors["parameters"]
    assert parameters[0] > 2 * parameters[1] > 0


def test_stacking_is_at_least_as_good_as_its_best_expert() -> None:
    fitted, asked = stacking.fit(noisy((1.0, 0.7, 0.3)), Options()), noisy((1.0, 0.7, 0.3), seed=1)
    right = (fitted.decide(asked).severities == asked.truth).mean()
    assert right > max((one.severities == asked.truth).mean() for one in asked.experts)


def test_the_most_severe_calibrated_expert_is_followed() -> None:
    rows = noisy((1.0, 0.7))
    decider = calibrated_most_severe.fit(rows, Options())
    each = [decider.decide(rows.only([name])).probabilities @ np.arange(3) for name in "ab"]
    np.testing.assert_allclose(decider.decide(rows).probabilities @ np.arange(3), np.maximum(*each), atol=1e-5)


def test_a_dearer_mistake_downwards_makes_no_rating_milder() -> None:
    rows = noisy((0.7, 0.5))
    for fit in (stacking.fit, calibrated_most_severe.fit):
        even, cautious = (fit(rows, Options(down_cost=cost)).decide(rows).severities for cost in (1.0, 2.0))
        assert (cautious >= even).all()
        assert (cautious > even).any()


def test_no_single_weight_would_make_the_fitted_vote_cheaper() -> None:
    rows = noisy((1.2, 0.5, 0.4), items=150)
    ballots, ladder = ballots_of(rows), weighted_vote.LADDER

    def cost(weights: tuple[float, ...]) -> float:
        return float(((winners_of(totals_of(ballots, weights, 3)) - rows.truth) ** 2).mean())

    fitted = weighted_vote.fit(rows, Options()).tensors["weights"].tolist()
    others = [(*fitted[:place], rung, *fitted[place + 1 :]) for place in range(3) for rung in ladder]
    assert cost(tuple(fitted)) <= min(cost((1.0, 1.0, 1.0)), *(cost(one) for one in others))


def test_an_expert_that_only_misleads_is_silenced() -> None:
    casts = [{"good": 0, "bad": 2}, {"good": 2, "bad": 0}] * 10
    rows = ballots_only(casts)
    told = feature_set(rows.experts, np.array([0, 2] * 10), rows.labels)
    decisions = weighted_vote.fit(told, Options()).decide(told)
    assert (decisions.severities == told.truth).all()
