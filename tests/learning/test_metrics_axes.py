from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from capitoline.pipelines.evaluation.axes import Judged, average_precision, best_threshold, f1_at, measure_axes


def _cast(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    present = draw.random(count) < 0.3
    return present, np.round(present * 0.4 + draw.random(count) * 0.6, 2)  # rounded: many scores are equal


def _judged(truth: np.ndarray, scores: np.ndarray) -> Judged:
    probabilities = np.stack([1 - scores, scores], -1).astype(np.float32)
    return Judged(truth, probabilities, (scores >= 0.5).astype(np.int64))


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_and_f1_equal_those_of_scikit_learn(seed: int) -> None:
    present, scores = _cast(seed)
    assert average_precision(present, scores) == pytest.approx(average_precision_score(present, scores))
    assert f1_at(present, scores, 0.4) == pytest.approx(f1_score(present, scores >= 0.4))


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_there_is(seed: int) -> None:
    present, scores = _cast(seed)
    best = max(f1_score(present, scores >= one) for one in np.unique(scores))
    assert f1_at(present, scores, best_threshold(present, scores)) == pytest.approx(best)


def test_an_unknown_target_is_left_out_of_its_axis_and_not_read_as_absent() -> None:
    present, scores = _cast(0)
    known = np.random.default_rng(1).random(len(present)) < 0.5
    truth = np.where(known, present, -1)[:, None]
    (figures,) = measure_axes(_judged(truth, scores[:, None]), _judged(truth, scores[:, None]), ["S"])
    assert figures.count == known.sum()
    assert figures.average_precision == pytest.approx(average_precision_score(present[known], scores[known]), abs=1e-6)


def test_the_threshold_does_not_look_at_the_reported_rows() -> None:
    (present, scores), (others, theirs) = _cast(0), _cast(1)
    held_out = _judged(others[:, None].astype(np.int64), theirs[:, None])
    (figures,) = measure_axes(_judged(present[:, None].astype(np.int64), scores[:, None]), held_out, ["S"])
    assert figures.threshold == pytest.approx(best_threshold(others, theirs), abs=1e-6)


def test_an_axis_of_which_nothing_is_known_has_no_figures() -> None:
    nothing = _judged(np.full((4, 1), -1), np.full((4, 1), 0.5))
    (figures,) = measure_axes(nothing, nothing, ["S"])
    assert figures.count == 0
    assert math.isnan(figures.average_precision)
    assert figures.as_json()["f1"] is None
