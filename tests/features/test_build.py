"""From a labelled file to a decider that serves: divided, trained in folds, asked, fused."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from capitoline.configs.feature_build import FeatureBuild
from capitoline.configs.settings import FusionSettings, load_settings
from capitoline.fusion.files import read_decider
from capitoline.modalities.schema import Decoded, Item
from capitoline.pipelines.assembly import build_decider
from capitoline.pipelines.cli import app
from capitoline.pipelines.experts import build_expert
from capitoline.pipelines.features.build import build_features
from capitoline.pipelines.features.store import EXPERTS, FeatureStore

pytestmark = pytest.mark.slow

ROWS = 160
TRAINING = """
kind: text
name: tags
purpose: For tests.
network: {width: 64, layers: 1, features: 8, dropout: 0.0}
epochs: 2
batch: 16
rate: 1.0e-2
warmup: 5
window: 24
selection: 0.2
sources:
  - {file: posters.jsonl.gz, head: tags, columns: [genres], licence: for tests}
"""


@pytest.fixture(scope="module")
def settings(data: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureBuild:
    """The genres of some posters, cut into two folds; the file lies beside the training."""
    folder = tmp_path_factory.mktemp("films")
    with gzip.open(data / "posters_mm.jsonl.gz", "rb") as all_rows, gzip.open(folder / "posters.jsonl.gz", "wb") as few:
        few.writelines(itertools.islice(all_rows, ROWS))
    (folder / "tags.yaml").write_text(TRAINING, encoding="utf-8")
    experts = {"tags": str(folder / "tags.yaml")}
    return FeatureBuild.model_validate(
        {"file": "posters.jsonl.gz", "columns": "tags=genres", "folds": 2, "experts": experts}
    )


@pytest.fixture(scope="module")
def films(settings: FeatureBuild) -> Path:
    return Path(settings.experts["tags"]).parent


@pytest.fixture(scope="module")
def built(settings: FeatureBuild, films: Path) -> FeatureStore:
    return build_features(settings, films, films / "features")


def test_every_row_is_told_of_by_weights_that_never_saw_it(built: FeatureStore, films: Path) -> None:
    features = built.read()
    assert len(features) == ROWS
    assert set(features.splits) == {"train", "val", "test"}
    (tags,) = features.experts
    assert tags.rated.all()
    assert tags.unseen.all()
    assert built.read_unseen("train").splits.tolist() == ["train"] * int((features.splits == "train").sum())


def test_no_training_can_read_a_row_of_test(built: FeatureStore, films: Path) -> None:
    features = built.read()
    with gzip.open(built.folder / "build" / "data" / "posters.jsonl.gz", "rt", encoding="utf-8") as rows:
        read = {json.loads(row)["id"] for row in rows}
    assert read == set(features.items[features.splits != "test"].tolist())
    held_out = set(features.groups[features.splits == "test"].tolist())
    assert held_out.isdisjoint(features.groups[features.splits == "train"].tolist())


def test_what_is_done_is_not_done_again(built: FeatureStore, settings: FeatureBuild, films: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in built.folder.rglob("*.safetensors")}
    kept |= {path: path.stat().st_mtime_ns for path in (built.folder / "evidence").iterdir()}
    before = built.read()
    after = build_features(settings, films, built.folder).read()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    np.testing.assert_array_equal(after.experts[0].features, before.experts[0].features)


def test_a_training_that_fails_says_why(settings: FeatureBuild, films: Path, tmp_path: Path) -> None:
    unfit = TRAINING.replace("columns: [genres]", "columns: [genres], mapping: {R: restricted}")
    (tmp_path / "unfit.yaml").write_text(unfit, encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"training the tags expert failed:(.|\n)*is not on the scale"):
        build_features(
            settings.model_copy(update={"experts": {"tags": str(tmp_path / "unfit.yaml")}}), films, tmp_path / "out"
        )


def test_the_command_fits_a_decider_that_serves_these_experts(built: FeatureStore, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["fuse", str(built.folder), "--out", str(tmp_path), "--strategy", "stacking"])
    assert ran.exit_code == 0, ran.output
    weights = tmp_path / "fusion.safetensors"
    assert f"weights: {weights}" in ran.output
    assert "`fusion:stacking`, fitted on" in (tmp_path / "fusion.md").read_text(encoding="utf-8")
    served = load_settings(built.folder / EXPERTS).model_copy(update={"decider": FusionSettings(weights=str(weights))})
    decide, (tags,) = build_decider(served), [build_expert(one, served) for one in served.experts]
    item = Decoded(Item("film"), "00", tags=("Crime", "Thriller"))
    verdict = decide(item, tags([item]))
    assert (verdict.rule, verdict.rating in served.scale) == ("fusion:stacking", True)
    assert read_decider(weights).frame.names == ("tags",)


def test_the_command_refuses_experts_that_learned_from_these_rows(built: FeatureStore, tmp_path: Path) -> None:
    seen = FeatureStore(tmp_path / "seen")
    features = built.read()
    (tags,) = features.experts
    tags.unseen[features.splits == "train"] = False
    seen.write(features)
    ran = CliRunner().invoke(app, ["fuse", str(seen.folder), "--out", str(tmp_path / "out")])
    assert ran.exit_code == 2
    assert "had been seen in the training of 'tags'" in ran.output
    assert not (tmp_path / "out").exists()


def test_the_command_takes_a_configuration_and_says_what_is_missing(built: FeatureStore, tmp_path: Path) -> None:
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump({"strategy": "stacking", "experts": ["tags", "audio"]}))
    command = ["fuse", str(built.folder), "--out", str(tmp_path / "out"), "--config", str(tmp_path / "fit.yaml")]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 2
    assert "no features of audio; there are tags" in ran.output
