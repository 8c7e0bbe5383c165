"""The statistics are those of the textbooks, and of scipy and statsmodels."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar as published_mcnemar
from statsmodels.stats.multitest import multipletests

from capitoline.pipelines.ablation.attribution import leave_one_out, shapley
from capitoline.pipelines.ablation.resampling import draw, percentile_interval, resample
from capitoline.pipelines.ablation.significance import EXACT_BELOW, holm, holm_levels, mcnemar
from capitoline.pipelines.evaluation.metrics import confusion, down_rates, quadratic_weighted_kappa


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (3, 9), (12, 12), (0, 20), (10, 15), (40, 70)])
def test_mcnemar_is_statsmodels_exact_or_corrected(only_first: int, only_second: int) -> None:
    first = np.repeat([True, False, True], [only_first, only_second, 50])
    second = np.repeat([False, True, True], [only_first, only_second, 50])
    exact = only_first + only_second < EXACT_BELOW
    published = published_mcnemar([[50, only_first], [only_second, 0]], exact=exact, correction=True).pvalue
    assert mcnemar(first, second) == pytest.approx(min(1.0, published), abs=1e-12)


def test_holm_is_statsmodels() -> None:
    random = np.random.default_rng(0)
    for count in (1, 2, 9, 40):
        p_values = random.random(count) ** 4
        corrected = multipletests(p_values, method="holm")[1]
        assert holm(p_values.tolist()) == pytest.approx(corrected.tolist())


def test_an_interval_at_holm_s_level_leaves_out_zero_exactly_where_holm_rejects() -> None:
    for p_values in product((0.001, 0.02, 0.03, 0.2), repeat=3):
        corrected, levels = holm(p_values), holm_levels(p_values, 0.05)
        assert [p < 0.05 for p in corrected] == [p < 1 - level for p, level in zip(p_values, levels, strict=True)], (
            p_values
        )


def test_the_fast_resamples_are_the_figures_of_the_rows_drawn() -> None:
    random = np.random.default_rng(1)
    truth, severities = random.integers(0, 5, 60), random.integers(0, 5, (3, 60))
    counted = random.random((3, 60)) > 0.2
    group_of, counts = draw(np.array([f"{number // 3}" for number in range(60)]), 40, 2)
    fast = resample(truth, severities, counted, group_of, counts)
    for one, decider in product(range(40), range(3)):
        rows = np.repeat(np.arange(60), (counts[one][group_of] * counted[decider]).astype(int))
        matrix = confusion(truth[rows], severities[decider][rows], 5)
        assert fast.kappa[one, decider] == pytest.approx(quadratic_weighted_kappa(matrix), abs=1e-9)
        assert fast.down_rate[one, decider] == pytest.approx(float(down_rates(matrix)), abs=1e-9)


def test_a_paired_interval_is_scipy_s() -> None:
    random = np.random.default_rng(3)
    truth = random.integers(0, 5, 400)
    good, poor = (np.clip(truth + random.integers(-far, far + 1, 400), 0, 4) for far in (1, 2))
    rows = np.array([str(number) for number in range(400)])
    drawn = resample(truth, np.stack((good, poor)), np.ones((2, 400), bool), *draw(rows, 4_000, 0))
    ours = percentile_interval(drawn.kappa[:, 0] - drawn.kappa[:, 1], 0.95)

    def difference(*chosen: npt.NDArray[np.int64]) -> float:
        kappas = [quadratic_weighted_kappa(confusion(chosen[0], one, 5)) for one in chosen[1:]]
        return kappas[0] - kappas[1]

    published = bootstrap(
        (truth, good, poor), difference, paired=True, vectorized=False, n_resamples=2_000, method="percentile", rng=0
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((published.low, published.high), abs=0.01)


def test_two_deciders_that_are_the_same_differ_by_nothing() -> None:
    interval = percentile_interval(np.zeros(1_000), 0.95)
    assert (interval.low, interval.high, interval.p) == (0.0, 0.0, 1.0)


def test_shapley_values_add_up_to_what_all_reach() -> None:
    random = np.random.default_rng(0)
    names = ("a", "b", "c", "d")
    for _ in range(20):
        values = {frozenset(n for n, held in zip(names, chosen, strict=True) if held): float(random.random())
                  for chosen in product((False, True), repeat=4)}  # fmt: skip
        assert sum(shapley(values).values()) == pytest.approx(values[frozenset(names)] - values[frozenset()])


def test_shapley_knows_a_dummy_and_twins() -> None:
    """An expert that changes nothing gets nothing; two that can stand in for each other get the same."""
    names = ("first", "second", "silent")
    values = {
        some: 0.6 if some & {"first", "second"} else 0.0
        for some in (frozenset(n for n, held in zip(names, c, strict=True) if held) for c in product((0, 1), repeat=3))
    }
    assert shapley(values) == pytest.approx({"first": 0.3, "second": 0.3, "silent": 0.0})
    assert leave_one_out(values) == pytest.approx({"first": 0.0, "second": 0.0, "silent": 0.0})
