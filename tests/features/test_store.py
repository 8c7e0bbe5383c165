"""What a store keeps comes back as it was, and what an expert may have seen trains no fusion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capitoline.modalities.feature_set import ExpertFeatures, FeatureSet
from capitoline.pipelines.features.store import Contents, FeatureStore, Row, Weights

LABELS = ("PG", "PG13", "R", "X", "XXX")


def features(count: int = 40, seed: int = 0) -> FeatureSet:
    draw = np.random.default_rng(seed)
    names = np.array([f"item {one}" for one in range(count)])
    experts = tuple(expert(name, count, width, draw) for name, width in (("image", 8), ("tags", 4), ("thresholds", 0)))
    splits = np.array(["train", "val", "test", "train"] * (count // 4))
    return FeatureSet(LABELS, names, draw.integers(0, 5, count), splits, names, experts)


def expert(name: str, count: int, width: int, draw: np.random.Generator) -> ExpertFeatures:
    rated = draw.random(count) < 0.7
    severities = draw.integers(0, 5, count) * rated
    told = draw.dirichlet(np.ones(5), count).astype(np.float32)
    certain = np.eye(5, dtype=np.float32)[severities]
    return ExpertFeatures(
        name,
        rated,
        severities,
        (told if width else certain) * rated[:, None],
        draw.normal(size=(count, width)).astype(np.float32) * rated[:, None],
        np.ones(count, bool),
        draw.random(count).astype(np.float32),
        name * 4,
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = features()
    FeatureStore(tmp_path).write(written)
    read = FeatureStore(tmp_path).read()
    assert read.labels == written.labels
    for name in ("items", "truth", "splits", "groups"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    for one, other in zip(read.experts, written.experts, strict=True):
        assert (one.name, one.weights) == (other.name, other.weights)
        for name in ("rated", "severities", "probabilities", "features", "unseen", "seconds"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=f"{one.name}.{name}")


def test_rows_that_an_expert_may_have_seen_train_no_fusion(tmp_path: Path) -> None:
    written = features()
    seen = replace(written.experts[0], unseen=written.splits != "train")
    FeatureStore(tmp_path).write(replace(written, experts=(seen, *written.experts[1:])))
    with pytest.raises(ValueError, match=r"image may have been trained on \d+ of these 20 rows.*94 %.*--folds"):
        FeatureStore(tmp_path).read_unseen()
    assert len(FeatureStore(tmp_path).read_unseen("val")) == 10


def test_each_row_is_told_of_by_the_weights_of_its_fold(tmp_path: Path) -> None:
    """Three files of weights, each with an opinion on every item: severity 0 and 1 of the folds, 4 of the whole."""
    store = FeatureStore(tmp_path)
    weights = Weights("whole", ("fold 0", "fold 1"))
    everything = features(8)
    rows = [
        Row(f"item {one}", "", 2, split, fold=fold)
        for one, (split, fold) in enumerate([("train", 0), ("val", -1), ("test", -1), ("train", 1)] * 2)
    ]
    for digest, severity in (("fold 0", 0), ("fold 1", 1), ("whole", 4)):
        told = replace(everything.experts[2], rated=np.ones(8, bool), severities=np.full(8, severity))
        store.write(replace(everything, experts=(replace(told, name="text", weights=digest),)), [""] * 8)
    store.describe(rows, Contents(LABELS, {"text": weights}, folds=2))
    assert store.read().experts[0].severities.tolist() == [0, 4, 4, 1] * 2


def test_a_folder_without_features_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="capitoline features --out"):
        FeatureStore(tmp_path).read()


def test_a_job_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a job"):
        FeatureStore(tmp_path)
