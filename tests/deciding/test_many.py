"""The voter over arrays is the voter of one item, on every cast of small scales."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from capitoline.modalities.decisions import NOT_RATED
from capitoline.modalities.schema import RatingScale
from capitoline.voter.many import ArrayVoter
from capitoline.voter.rules import rule
from capitoline.voter.voter import Voter
from tests.deciding.arrays import LABELS, ballots_only, decoded, evidence_of

RULES = {
    "majority": {},
    "upper_median": {},
    "most_severe": {},
    "weighted": {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.0},  # 0.1 + 0.2 is not 0.3: the order of a sum decides a draw
}
CASTS = [
    {name: ballot for name, ballot in zip("abcd", cast, strict=True) if ballot >= 0}
    for cast in product(range(-1, 4), repeat=4)
]


@pytest.mark.parametrize("name", RULES)
def test_many_items_are_decided_as_each_alone(name: str) -> None:
    features = ballots_only(CASTS)
    decisions = ArrayVoter(name, RULES[name]).decide(features)
    alone = Voter(RatingScale(LABELS), rule(name, RULES[name]), name)
    for row, severity in enumerate(decisions.severities):
        verdict = alone(decoded(features, row), evidence_of(features, row))
        assert severity == (NOT_RATED if verdict.severity is None else verdict.severity), CASTS[row]


def test_a_draw_goes_to_the_more_restrictive_label_whatever_its_name() -> None:
    decisions = ArrayVoter("majority").decide(ballots_only([{"a": 4, "b": 1}, {"a": 0, "b": 2}]))
    assert [LABELS[one] for one in decisions.severities] == ["NC-17", "PG-13"]


def test_the_shares_of_the_ballots_are_the_probabilities() -> None:
    decisions = ArrayVoter("weighted", {"a": 3.0}).decide(ballots_only([{"a": 1, "b": 4}, {"b": 2}, {}]))
    assert decisions.probabilities.tolist() == [[0, 0.75, 0, 0, 0.25], [0, 0, 1, 0, 0], [0] * 5]


def test_no_ballot_is_never_the_mildest_label() -> None:
    for name in RULES:
        assert ArrayVoter(name).decide(ballots_only([{"a": 1}, {}])).severities.tolist()[1] == NOT_RATED


def test_without_experts_nothing_is_rated() -> None:
    nobody = ballots_only([{}, {}])
    for name in RULES:
        assert (ArrayVoter(name).decide(nobody).severities == NOT_RATED).all()


def test_weights_that_a_rule_ignores_are_refused() -> None:
    with pytest.raises(ValueError, match="ignores weights"):
        ArrayVoter("majority", {"a": 2.0})
    assert np.isfinite(ArrayVoter("weighted", {"a": 0.0}).decide(ballots_only([{"a": 3}])).probabilities).all()
