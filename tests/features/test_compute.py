"""Features are computed once: only what is new is looked at, and each row by the weights that never saw it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capitoline.configs.settings import Settings, TextExpert
from capitoline.modalities.weights import find_weights, read_weights, sha256, write_weights
from capitoline.pipelines import rate_request
from capitoline.pipelines.features.compute import compute_features
from capitoline.pipelines.features.folds import Labelling, one_cut, read_folded
from capitoline.pipelines.features.imported import import_job
from capitoline.pipelines.features.store import FeatureStore
from capitoline.pipelines.job import Request
from capitoline.pipelines.training.folds import fold_of

LABELLING = Labelling("rating5", "split", "title")
RequestFor = Callable[[Path, Path], Request]


def warmer(temperature: float, path: Path) -> Path:
    """The shipped text weights at another temperature: other probabilities, the same pre-logits."""
    tensors, metadata = read_weights(find_weights("text"), "text")
    path.parent.mkdir(parents=True, exist_ok=True)
    scaled = {name: tensor * temperature if "temperature" in name else tensor for name, tensor in tensors.items()}
    write_weights(path, scaled, metadata)
    return path


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `capitoline train --folds 2` leaves them."""
    folder = tmp_path_factory.mktemp("folds")
    folds = [warmer(2.0 + number, folder / f"fold-{number}" / "text.safetensors") for number in range(2)]
    warmer(9.0, folder / "whole" / "text.safetensors")
    names = [str(path.relative_to(folder)) for path in folds]
    found = {"folds": 2, "weights": names, "sha256": [sha256(path) for path in folds], "group": "title"}
    (folder / "folds.json").write_text(json.dumps(found), encoding="utf-8")
    return folder


def test_a_second_run_computes_only_what_changed(
    posters: Path, request_for: RequestFor, light: Settings, tmp_path: Path
) -> None:
    lines, fewer = posters.read_text(encoding="utf-8").splitlines(keepends=True), tmp_path / posters.name
    fewer.write_text("".join(lines[:50]), encoding="utf-8")
    out = tmp_path / "out"
    runs = [
        compute_features(request_for(manifest, out), settings, LABELLING)
        for manifest, settings in [
            (fewer, light),
            (fewer, light),
            (posters, light),
            (posters, light.model_copy(update={"experts": (changed_text(tmp_path), light.experts[1])})),
            (fewer, light),
        ]
    ]
    assert [run.by_expert for run in runs] == [
        {"text": 50, "tags": 50},
        {"text": 0, "tags": 0},
        {"text": 10, "tags": 10},
        {"text": 60, "tags": 0},
        {"text": 0, "tags": 0},
    ]
    assert len(FeatureStore(out).read()) == 50


def changed_text(folder: Path) -> TextExpert:
    return TextExpert(weights=str(warmer(3.0, folder / "changed.safetensors")))


def test_changed_content_is_looked_at_again_under_its_old_id(
    posters: Path, request_for: RequestFor, light: Settings, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in posters.read_text(encoding="utf-8").splitlines()[:3]]
    manifest = tmp_path / "posters.jsonl"
    told = []
    for text in ("A quiet day at the lake.", "A brutal murder, torture and rape.", "A quiet day at the lake."):
        rows[1]["text"] = text
        manifest.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        run = compute_features(request_for(manifest, tmp_path / "out"), light, LABELLING)
        told.append((run.by_expert["text"], FeatureStore(tmp_path / "out").read().experts[1].probabilities[1]))
    assert [count for count, _ in told] == [3, 1, 0]
    np.testing.assert_array_equal(told[0][1], told[2][1])
    assert np.abs(told[0][1] - told[1][1]).max() > 0.1


def test_each_row_meets_the_weights_that_did_not_see_it(
    posters: Path, request_for: RequestFor, light: Settings, folded: Path, tmp_path: Path
) -> None:
    weights = {"text": read_folded(folded)}
    labelling = one_cut(LABELLING, weights)
    compute_features(request_for(posters, tmp_path), light, labelling, weights)
    store = FeatureStore(tmp_path)
    features = store.read()
    tags, text = features.experts
    alone = {}
    for number in (-1, 0, 1):
        expert = TextExpert(weights=str(weights["text"].of(number)))
        settings = light.model_copy(update={"experts": (expert,)})
        compute_features(request_for(posters, tmp_path / str(number)), settings, LABELLING)
        alone[number] = FeatureStore(tmp_path / str(number)).read().experts[0].probabilities
    train = features.splits == "train"
    assert 40 < train.sum() < 60
    for row, group in enumerate(features.groups.tolist()):
        fold = fold_of(group, 2) if train[row] else -1
        # A matrix product of another height rounds otherwise, which shows in the smallest probabilities.
        np.testing.assert_allclose(text.probabilities[row], alone[fold][row], rtol=1e-5, atol=1e-6)
    assert text.unseen.all()
    assert (tags.unseen == ~train).all()
    assert len(FeatureStore(tmp_path).read_unseen("val")) == (~train).sum()
    with pytest.raises(ValueError, match="tags may have been trained on"):
        store.read_unseen()


def test_folds_cut_otherwise_are_refused(folded: Path, tmp_path: Path) -> None:
    two = read_folded(folded)
    with pytest.raises(ValueError, match="text: 2 by title"):
        one_cut(LABELLING, {"text": two, "tags": replace(two, folds=two.folds[:1])})
    with pytest.raises(ValueError, match="--group id would mix"):
        one_cut(Labelling(group="id"), {"text": two})
    with pytest.raises(ValueError, match="train --folds"):
        read_folded(tmp_path)


def test_a_finished_job_gives_the_features_that_computing_gives(
    posters: Path, request_for: RequestFor, light: Settings, tmp_path: Path
) -> None:
    rate_request(request_for(posters, tmp_path / "results"), light)
    assert import_job(tmp_path / "results", tmp_path / "imported", LABELLING) == 60
    imported = FeatureStore(tmp_path / "imported").read()
    again = compute_features(request_for(posters, tmp_path / "imported"), light, LABELLING)
    assert again.by_expert == {"text": 0, "tags": 0}
    compute_features(request_for(posters, tmp_path / "computed"), light, LABELLING)
    computed = FeatureStore(tmp_path / "computed").read()
    for one, other in zip(imported.experts, computed.experts, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert one.weights == other.weights


def test_a_misspelt_column_or_label_is_told(
    posters: Path, request_for: RequestFor, light: Settings, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no item has a column 'ratng'"):
        compute_features(request_for(posters, tmp_path), light, Labelling("ratng"))
    with pytest.raises(ValueError, match="not on the scale"):
        compute_features(request_for(posters, tmp_path), light, Labelling("country"))
