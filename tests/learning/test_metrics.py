from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    precision_score,
    recall_score,
)

from capitoline.pipelines.evaluation.calibration import calibration_error, reliability
from capitoline.pipelines.evaluation.intervals import Interval, intervals, resampled
from capitoline.pipelines.evaluation.metrics import confusion, down_rates, kappas, macro_f1s, measure

LABELS = 5


def _cast(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    truth = draw.choice(LABELS, count, p=[0.5, 0.3, 0.15, 0.05, 0.0])
    return truth, np.clip(truth + draw.integers(-1, 2, count), 0, LABELS - 1)


@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_those_of_scikit_learn(seed: int) -> None:
    truth, predicted = _cast(seed)
    figures = measure(truth, predicted, LABELS)
    assert figures.kappa == pytest.approx(cohen_kappa_score(truth, predicted, weights="quadratic"))
    assert figures.macro_f1 == pytest.approx(f1_score(truth, predicted, labels=np.unique(truth), average="macro"))
    assert figures.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert figures.absolute_error == pytest.approx(mean_absolute_error(truth, predicted))
    for ours, theirs in ((figures.recall, recall_score), (figures.precision, precision_score), (figures.f1, f1_score)):
        assert ours[:4] == pytest.approx(list(theirs(truth, predicted, labels=range(4), average=None)))
    assert np.array_equal(figures.matrix, confusion_matrix(truth, predicted, labels=range(LABELS)))
    assert math.isnan(figures.recall[4])


def test_milder_predictions_are_down_class_and_lie_below_the_diagonal() -> None:
    truth, predicted = np.array([3, 3, 0, 1, 4]), np.array([1, 2, 1, 1, 4])
    figures = measure(truth, predicted, LABELS)
    assert (figures.down_rate, figures.down_two_rate, figures.up_rate) == (0.4, 0.2, 0.2)
    assert np.tril(confusion(truth, predicted, LABELS), -1).sum() == 2


def test_many_matrices_at_once_give_what_each_gives_alone() -> None:
    matrices = np.random.default_rng(0).integers(0, 9, (50, LABELS, LABELS))
    matrices[0] = 0
    for of in (kappas, macro_f1s, down_rates):
        alone = [float(of(one)) for one in matrices]
        assert of(matrices).tolist() == pytest.approx(alone, nan_ok=True)
    assert np.isnan(kappas(matrices)[0])


def test_intervals_are_those_of_a_bootstrap_that_draws_row_by_row() -> None:
    truth, predicted = _cast(0)
    draw = np.random.default_rng(1)
    rows = draw.integers(0, len(truth), (1_000, len(truth)))
    naive = [cohen_kappa_score(truth[some], predicted[some], weights="quadratic") for some in rows]
    ours = intervals(truth, predicted, LABELS, [str(row) for row in range(len(truth))])
    assert (ours.kappa.low, ours.kappa.high) == pytest.approx(tuple(np.percentile(naive, (2.5, 97.5))), abs=0.01)
    assert ours.down_rate.low < np.mean(predicted < truth) < ours.down_rate.high


def test_rows_of_a_group_are_drawn_together() -> None:
    """A group drawn twice counts all its rows twice: with ten copies of each row an interval must not shrink."""
    truth, predicted = _cast(0)
    groups = [str(row) for row in range(len(truth))]
    alone = intervals(truth, predicted, LABELS, groups)
    copied = intervals(np.repeat(truth, 10), np.repeat(predicted, 10), LABELS, np.repeat(groups, 10).tolist())
    assert copied.kappa.high - copied.kappa.low == pytest.approx(alone.kappa.high - alone.kappa.low, rel=0.1)
    drawn = resampled(np.repeat(truth, 10), np.repeat(predicted, 10), LABELS, np.repeat(groups, 10).tolist())
    assert (drawn % 10 == 0).all()
    assert (drawn.sum((1, 2)) == 10 * len(truth)).all()


def test_intervals_are_the_same_each_time_and_cheap() -> None:
    truth, predicted = _cast(3, 6_000)
    groups = np.random.default_rng(0).integers(0, 3_000, 6_000).astype(str).tolist()
    begin = time.process_time()
    first = intervals(truth, predicted, LABELS, groups)
    assert time.process_time() - begin < 1.0
    assert first == intervals(truth, predicted, LABELS, groups)


def test_one_label_alone_has_no_interval_of_kappa() -> None:
    nothing = intervals(np.zeros(5, np.int64), np.zeros(5, np.int64), 2, list("abcde"))
    assert math.isnan(nothing.kappa.low)
    assert nothing.down_rate == Interval(0.0, 0.0)


def test_certain_and_right_is_calibrated_certain_and_wrong_is_not() -> None:
    truth = np.array([0, 1, 2])
    certain = np.eye(3, dtype=np.float32)
    assert calibration_error(certain, truth) == 0.0
    assert calibration_error(certain, (truth + 1) % 3) == 1.0


def test_bins_hold_every_item_and_say_how_often_they_are_right() -> None:
    draw = np.random.default_rng(0)
    probabilities = draw.dirichlet(np.ones(3), 500).astype(np.float32)
    truth = np.array([draw.choice(3, p=one / one.sum()) for one in probabilities.astype(np.float64)])
    bins = reliability(probabilities, truth)
    assert sum(one.count for one in bins) == 500
    assert sum(one.count * one.accuracy for one in bins) == pytest.approx((probabilities.argmax(1) == truth).sum())
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)
    assert calibration_error(probabilities, truth) < 0.1


def test_undefined_figures_are_null_in_json() -> None:
    figures = measure(np.array([0, 1]), np.array([0, 1]), 3).as_json()
    assert figures["recall"] == [1.0, 1.0, None]
    assert figures["calibration_error"] is None
    json.dumps(figures, allow_nan=False)


def test_nothing_to_measure_is_an_error_not_a_perfect_score() -> None:
    empty = np.array([], np.int64)
    with pytest.raises(ValueError, match="no items"):
        measure(empty, empty, LABELS)
