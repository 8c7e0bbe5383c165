"""Dawid and Skene's estimate is that of crowd-kit; knowing truths and the order of the labels only adds to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene as Reference

from capitoline.fusion.dawid_skene import ITERATIONS, expectation_maximisation, fit, posteriors, smoothing
from capitoline.fusion.options import Options
from capitoline.modalities.ballots import SILENT
from capitoline.modalities.feature_set import UNKNOWN
from tests.deciding.arrays import LABELS, ballots_only

EXPERTS = ("a", "b", "c", "d")


def crowd(items: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Truths (N,) and ballots (N, E) of four experts of different skill, each silent now and then."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 3, items)
    right = draw.random((items, len(EXPERTS))) < (0.9, 0.8, 0.7, 0.5)
    ballots = np.where(right, truth[:, None], draw.integers(0, 3, (items, len(EXPERTS))))
    ballots[draw.random(ballots.shape) < 0.1] = SILENT
    return truth, ballots


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_without_truths_and_smoothing_the_posteriors_are_crowd_kit_s() -> None:
    _, ballots = crowd(300, 0)
    said = [(row, EXPERTS[column], ballots[row, column]) for row, column in np.argwhere(ballots != SILENT).tolist()]
    table = pd.DataFrame(said, columns=["task", "worker", "label"])
    reference = Reference(ITERATIONS, tol=-1.0).fit_predict_proba(table)  # its own test would end it after a few
    unknown = np.full(len(ballots), UNKNOWN)
    ours = posteriors(ballots, *expectation_maximisation(ballots, unknown, np.zeros((3, 3))))
    np.testing.assert_allclose(ours[reference.index], reference[[0, 1, 2]].to_numpy(), atol=1e-4)


def test_known_truths_give_the_counted_confusions() -> None:
    truth, ballots = crowd(300, 1)
    _, confusions = expectation_maximisation(ballots, truth, np.zeros((3, 3)))
    heard = ballots[:, 0] != SILENT
    counted = np.zeros((3, 3))
    np.add.at(counted, (truth[heard], ballots[heard, 0]), 1)
    np.testing.assert_allclose(confusions[0], counted / counted.sum(axis=1, keepdims=True))


def test_rows_without_a_label_help() -> None:
    truth, ballots = crowd(2_000, 2)
    few = np.where(np.arange(len(truth)) < 15, truth, UNKNOWN)
    pseudo = smoothing(3)
    _, from_few = expectation_maximisation(ballots[:15], few[:15], pseudo)
    _, from_all = expectation_maximisation(ballots, few, pseudo)
    _, best = expectation_maximisation(ballots, truth, pseudo)
    assert np.abs(from_all - best).max() < np.abs(from_few - best).max() / 2


def test_an_unseen_mistake_of_one_level_is_likelier_than_one_of_three() -> None:
    _, confusions = expectation_maximisation(np.array([[1], [2]]), np.array([1, 2]), smoothing(5))
    assert confusions[0, 1, 2] > confusions[0, 1, 4] > 0


def test_an_expert_that_errs_upwards_is_read_so() -> None:
    casts = [{"a": 3, "b": 0}, {"a": 4, "b": 1}] * 20
    truth = np.array([0, 1] * 20)
    rows = ballots_only(casts)
    told = type(rows)(rows.labels, rows.items, truth, rows.splits, rows.groups, rows.experts)
    decisions = fit(told, Options()).decide(ballots_only([{"a": 3}, {"a": 4}]))
    assert [LABELS[one] for one in decisions.severities] == ["G", "PG"]
