"""The linear half of the heads of pictures: fitted, added, refused where it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from capitoline.configs.training import Training
from capitoline.modalities.networks.heads import OrdinalHead
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.pipelines.training.linear_fit import SHARE, Questions, Step, _add, _steps


def _posters(count: int = 30, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """What is read of pictures, and three questions, of which the first decides the second."""
    draw = np.random.default_rng(0)
    read = draw.normal(size=(count, width))
    reached = (read[:, :3] + 0.3 * draw.normal(size=(count, 3)) > 0).astype(float)
    reached[:5, 2] = np.nan
    return read, reached


def _ridge(read: np.ndarray, reached: np.ndarray, ridge: float) -> np.ndarray:
    """(V, Q) by the normal equations, of columns that are centred already."""
    return np.linalg.solve(read.T @ read + ridge * np.eye(read.shape[1]), read.T @ reached)


def test_it_is_the_regression_of_the_normal_equations() -> None:
    read, reached = _posters()
    found = Questions.of(read, reached, penalty=2.0)
    away, middle = read - read.mean(0), np.nanmean(reached, 0)
    weight = _ridge(away, np.where(np.isnan(reached), 0.0, reached - middle), 2.0 * (away**2).sum(1).mean())
    np.testing.assert_allclose(found.weight, weight, atol=1e-9)
    np.testing.assert_allclose(found(read), away @ weight + middle, atol=1e-9)


def test_the_answers_to_its_own_pictures_never_saw_their_labels() -> None:
    read, reached = _posters()
    away, targets = read - read.mean(0), np.nan_to_num(reached - np.nanmean(reached, 0))
    ridge = 2.0 * (away**2).sum(1).mean()
    others = np.arange(len(read)) != 7
    expected = away[7] @ _ridge(away[others], targets[others], ridge) + np.nanmean(reached, 0)
    np.testing.assert_allclose(Questions.of(read, reached, penalty=2.0).left_out[7], expected, atol=1e-9)


def test_a_picture_that_taught_another_head_is_answered_as_a_new_one() -> None:
    read, reached = _posters()
    questions = Questions.of(read, reached, penalty=2.0)
    mixed = np.concatenate((read[[4]], read[[9]] + 1.0))
    found = questions.of_new(mixed, ["poster 4", "new"], [f"poster {number}" for number in range(len(read))])
    np.testing.assert_array_equal(found[0], questions.left_out[4])
    np.testing.assert_array_equal(found[1], questions(mixed)[1])


def test_both_halves_speak_with_half_a_voice_and_alone_where_the_other_has_nothing_to_say() -> None:
    read, reached = _posters()
    reached = np.stack([reached[:, 0], np.where(reached[:, 0] == 1, reached[:, 1], 0), np.zeros(len(read))], axis=1)
    questions = Questions.of(read, reached, penalty=2.0)
    steps = _steps(questions.left_out, reached, np.ones((len(read), 1)), looseness=1.0)
    assert [one.known for one in steps] == [True, True, False]
    head = OrdinalHead(20, 8, HeadShape(("a", "b", "c", "d"))).eval()
    pooled = torch.cat((torch.randn(len(read), 8), torch.from_numpy(read).float()), dim=1)
    with torch.no_grad():
        alone = head(pooled)[0][:, 0]
        _add(head, steps, [questions])
        both = head(pooled)[0][:, 0]
    said = torch.from_numpy(np.stack([questions(read) @ one.weight + one.bias for one in steps], axis=1)).float()
    np.testing.assert_allclose(both[:, :2], (1 - SHARE) * alone[:, :2] + SHARE * said[:, :2], atol=1e-5)
    np.testing.assert_allclose(both[:, 2], alone[:, 2], atol=1e-6)


def test_a_step_learns_only_from_what_reaches_it() -> None:
    answers = np.array([[0.0], [0.1], [0.9], [1.0], [5.0]])
    reached = np.array([[1, 0], [1, 0], [1, 1], [1, 1], [0, 0]], float)
    step = _steps(answers, reached, np.ones((5, 1)), looseness=1.0)[1]
    expected = Step.of(answers[:4], reached[:4, 1], np.ones(4), 1.0)
    np.testing.assert_array_equal(step.weight, expected.weight)


SETTINGS: dict[str, Any] = {
    "kind": "image",
    "name": "posters",
    "purpose": "For tests.",
    "network": {"width": 64, "layers": 1, "skip": True},
    "sources": [{"file": "posters.jsonl", "head": "image"}],
    "linear": {"heads": ["image"]},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"width": 64, "layers": 1}}, "give `network: {skip: true}`"),
        ({"linear": {"heads": ["genres"]}}, "no source teaches the head genres"),
        ({"loss": "soft"}, "needs `loss: corn`"),
        ({"kind": "text"}, "reads the mean of vectors"),
    ],
)
def test_a_linear_half_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    assert Training.model_validate(SETTINGS).linear
    with pytest.raises(ValueError, match=message):
        Training.model_validate(SETTINGS | change)
