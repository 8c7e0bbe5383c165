from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score

from capitoline.pipelines.evaluation.metrics import calibration_error, confusion, measure

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
    recall = recall_score(truth, predicted, labels=range(4), average=None)
    assert figures.recall[:4] == pytest.approx(list(recall))
    assert math.isnan(figures.recall[4])


def test_milder_predictions_are_down_class_and_lie_below_the_diagonal() -> None:
    truth, predicted = np.array([3, 3, 0, 1, 4]), np.array([1, 2, 1, 1, 4])
    figures = measure(truth, predicted, LABELS)
    assert (figures.down_rate, figures.down_two_rate, figures.up_rate) == (0.4, 0.2, 0.2)
    assert np.tril(confusion(truth, predicted, LABELS), -1).sum() == 2


def test_certain_and_right_is_calibrated_certain_and_wrong_is_not() -> None:
    truth = np.array([0, 1, 2])
    certain = np.eye(3, dtype=np.float32)
    assert calibration_error(certain, truth) == 0.0
    assert calibration_error(certain, (truth + 1) % 3) == 1.0


def test_undefined_figures_are_null_in_json() -> None:
    figures = measure(np.array([0, 1]), np.array([0, 1]), 3).as_json()
    assert figures["recall"] == [1.0, 1.0, None]
    assert figures["calibration_error"] is None
    json.dumps(figures, allow_nan=False)


def test_nothing_to_measure_is_an_error_not_a_perfect_score() -> None:
    empty = np.array([], np.int64)
    with pytest.raises(ValueError, match="no items"):
        measure(empty, empty, LABELS)
