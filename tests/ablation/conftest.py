"""Feature sets that the ablation is tested on: drawn here, because their answers must be known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from capitoline.modalities.feature_set import ExpertFeatures, FeatureSet

LABELS = ("PG", "PG13", "R", "X", "XXX")
NOISE = {"image": 1.6, "tags": 0.5, "text": 0.9}
"""Standard deviation of each expert's opinion, in levels."""


def drawn(items: int = 900, seed: int = 0) -> FeatureSet:
    """Three experts of different skill about items of known severity; `text` is silent about a tenth."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 5, items)
    names = np.array([f"item-{number:04}" for number in range(items)])
    groups = np.array([f"title-{number // 2:04}" for number in range(items)])
    splits = np.array(["train", "val", "test"])[np.searchsorted((0.5, 0.75), np.arange(items) / items, side="right")]
    experts = tuple(_expert(name, truth, random) for name in sorted(NOISE))
    return FeatureSet(LABELS, names, truth, splits, groups, experts)


def _expert(name: str, truth: npt.NDArray[np.int64], random: np.random.Generator) -> ExpertFeatures:
    opinion = truth + random.normal(0, NOISE[name], len(truth))
    likely = np.exp(-0.5 * ((np.arange(5) - opinion[:, None]) / NOISE[name]) ** 2)
    probabilities = (likely / likely.sum(1, keepdims=True)).astype(np.float32)
    rated = random.random(len(truth)) > (0.1 if name == "text" else 0.0)
    return ExpertFeatures(
        name=name,
        rated=rated,
        severities=np.where(rated, probabilities.argmax(1), 0),
        probabilities=np.where(rated[:, None], probabilities, 0).astype(np.float32),
        features=np.where(rated[:, None], opinion[:, None], 0).astype(np.float32),
        unseen=np.ones(len(truth), bool),
        seconds=np.full(len(truth), 0.001 * (len(name) - 3), np.float32),
    )


@pytest.fixture(scope="session")
def features() -> FeatureSet:
    return drawn()
