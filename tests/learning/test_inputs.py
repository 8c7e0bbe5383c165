from __future__ import annotations

import numpy as np
import pytest

from capitoline.configs.training import Source
from capitoline.modalities.networks.frames import CHANNELS, SEEN_HERE, WIDTH, frame_vectors, nsfw_vectors, spread
from capitoline.pipelines.training.dataset import Division, Example
from capitoline.pipelines.training.films import hide_channels
from capitoline.pipelines.training.pictures import mirrored
from capitoline.pipelines.training.texts import example_text


def _scores(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((6, len(CHANNELS))).astype(np.float32)


def test_a_hidden_channel_leaves_no_trace() -> None:
    one, other = _scores(), _scores()
    other[:, ~SEEN_HERE] = _scores(1)[:, ~SEEN_HERE]
    np.testing.assert_array_equal(frame_vectors(one, SEEN_HERE), frame_vectors(other, SEEN_HERE))


def test_what_is_served_looks_like_what_was_trained_on() -> None:
    nsfw = np.array([0.0, 0.25, 1.0], np.float32)
    vectors = nsfw_vectors(nsfw)
    assert vectors.shape == (3, WIDTH)
    np.testing.assert_allclose(vectors[:, 0], 1 - nsfw)
    np.testing.assert_allclose(vectors[:, 1], nsfw)
    assert (vectors[:, 5:10] == SEEN_HERE).all()
    np.testing.assert_allclose(vectors[:, 11], [-1, np.log(1 / 3) / -np.log(1e-4), 1], atol=1e-3)


def test_unknown_scores_are_told_apart_from_scores_of_zero() -> None:
    zero = np.zeros((1, len(CHANNELS)), np.float32)
    known = np.ones(len(CHANNELS), bool)
    assert not np.array_equal(frame_vectors(zero, known), frame_vectors(zero, SEEN_HERE))


def test_a_score_below_zero_is_unknown_in_that_frame_only() -> None:
    scores = np.full((2, len(CHANNELS)), 0.5, np.float32)
    scores[1, :3] = -1.0
    for known in (np.ones(len(CHANNELS), bool), SEEN_HERE):
        read, unread = frame_vectors(scores, known)
        assert read[5:10].tolist() == known.tolist()
        assert unread[5:10].tolist() == (known & [False, False, False, True, True]).tolist()
        assert not unread[[0, 1, 2, 10, 11, 12]].any()


def test_small_scores_of_different_size_are_told_apart() -> None:
    scores = np.zeros((3, len(CHANNELS)), np.float32)
    scores[:, 1] = 1e-4, 1e-3, 1e-2
    vectors = frame_vectors(scores, np.ones(len(CHANNELS), bool))
    assert np.diff(vectors[:, 1]).max() < 0.01
    assert np.diff(vectors[:, 11]).min() > 0.1


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 1_000])
def test_frames_are_spread_from_first_to_last_in_order_of_time(count: int) -> None:
    chosen = spread(count, 16)
    assert len(chosen) == 16
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert (np.diff(chosen) >= 0).all()


def test_what_pixels_give_is_never_hidden_in_training() -> None:
    draws = np.array([hide_channels(np.random.default_rng(seed), 0.5) for seed in range(200)])
    assert draws[:, SEEN_HERE].all()
    assert 0.1 < draws[:, ~SEEN_HERE].mean() < 0.5


def test_a_mirrored_picture_has_its_columns_exchanged() -> None:
    tokens = np.arange(18.0).reshape(9, 2)  # 3 × 3 patches of width 2
    assert mirrored(tokens)[:, 0].tolist() == [4, 2, 0, 10, 8, 6, 16, 14, 12]
    np.testing.assert_array_equal(mirrored(mirrored(tokens)), tokens)


def test_columns_of_tags_become_one_list_and_columns_of_text_one_text() -> None:
    row = {"genres": "Drama, Comedy", "themes": "School;Drama", "country": None}
    columns = ("genres", "themes", "country")
    tags = Example("a", Source(file="f", head="tags", columns=columns), row, 0, (0,), Division.TRAIN)
    text = Example("a", Source(file="f", columns=columns), row, 0, (0,), Division.TRAIN)
    assert example_text(tags) == "tags: comedy, drama, school"
    assert example_text(text) == "Drama, Comedy School;Drama"
