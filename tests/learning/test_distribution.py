from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from capitoline.modalities.networks.distribution import STATISTICS, distribution
from capitoline.modalities.networks.losses import log_probabilities
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.rater import SequenceRater
from capitoline.modalities.networks.sequence import RatingNetwork, Shape, network_metadata, pack
from capitoline.modalities.weights import write_weights

LENGTHS = (1, 16, 2, 33, 5)


def _sequences(width: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.random((length, width), np.float32) for length in LENGTHS]


def _naive(one: np.ndarray) -> np.ndarray:
    steps = np.abs(np.diff(one, axis=0)) if len(one) > 1 else np.zeros_like(one)
    quantiles = [np.sort(one, axis=0)[(len(one) - 1) * quarter // 4] for quarter in range(5)]
    return np.concatenate([one.std(0), *quantiles, steps.sum(0) / len(one), steps.max(0)])


def test_each_sequence_is_described_as_if_it_were_alone() -> None:
    sequences = _sequences(3)
    found = distribution(np.concatenate(sequences), np.cumsum([0, *LENGTHS]))
    assert found.shape == (len(LENGTHS), 3 * STATISTICS)
    np.testing.assert_allclose(found, [_naive(one) for one in sequences], atol=1e-6)


@pytest.mark.parametrize("skip", [False, True])
def test_it_is_served_as_it_was_trained(skip: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = Shape(64, 1, 8, vector=3, skip=skip, distribution=True)
    network = RatingNetwork(shape, {"video": HeadShape(("a", "b", "c"))}).eval()
    metadata = {"kind": "video", "labels": ["a", "b", "c"], **network_metadata(network)}
    assert metadata["shape"] == asdict(shape)
    write_weights(tmp_path / "w.safetensors", network.state_dict(), metadata)
    with torch.no_grad():
        logits, _ = network.head("video")(network(*pack(_sequences(3))))
    ratings = SequenceRater(tmp_path / "w.safetensors", "video", rounded=False)(_sequences(3), "video")
    np.testing.assert_allclose(ratings.probabilities, log_probabilities(logits)[:, 0].exp(), atol=1e-5)


def test_weights_that_read_other_vectors_are_refused(tmp_path: Path) -> None:
    network = RatingNetwork(Shape(64, 1, 8, vector=10), {"video": HeadShape(("a", "b"))})
    metadata = {"kind": "video", "labels": ["a", "b"], **network_metadata(network)}
    write_weights(tmp_path / "w.safetensors", network.state_dict(), metadata)
    with pytest.raises(ValueError, match="reads vectors of 10 numbers, not of 15: train the weights anew"):
        SequenceRater(tmp_path / "w.safetensors", "video").check_width(15)
