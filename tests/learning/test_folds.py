from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from capitoline.configs.training import Training, load_configuration
from capitoline.modalities.weights import read_metadata, sha256
from capitoline.pipelines.train import train
from capitoline.pipelines.training.corpus import read_rows
from capitoline.pipelines.training.folded import without_fold
from capitoline.pipelines.training.folds import fold_of, place_of

FOLDS = 3


@pytest.fixture(scope="module")
def folded(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run in folds, of one epoch each."""
    folder = tmp_path_factory.mktemp("folded")
    text = (tiny / "tiny.yaml").read_text().replace("epochs: 6", "epochs: 1")
    (folder / "tiny.yaml").write_text(text)
    train(folder / "tiny.yaml", folder / "run", tiny, FOLDS)
    return folder


def test_every_group_falls_in_one_fold_and_the_folds_are_about_equal() -> None:
    folds = [fold_of(f"Film {number}", 5) for number in range(1_000)]
    assert set(folds) == set(range(5))
    assert all(150 < folds.count(fold) < 250 for fold in range(5))
    assert fold_of(" FILM 7", 5) == fold_of("Film 7 ", 5)


def test_divisions_are_the_ones_that_shipped_weights_were_trained_on() -> None:
    titles = [f" Film {number}: Straße " for number in range(500)]

    def numbers(salt: str) -> list[int]:
        texts = [salt + title.strip().casefold() for title in titles]
        return [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) for text in texts]

    assert [fold_of(title, 5) for title in titles] == [number % 5 for number in numbers("fold ")]
    assert [place_of(title) for title in titles] == [number / 2**64 for number in numbers("")]
    assert [place_of(title, "test") for title in titles] == [number / 2**64 for number in numbers("test ")]


def test_each_run_leaves_out_just_the_rows_of_its_fold_and_is_reported_on_them(tiny: Path) -> None:
    rows = read_rows(load_configuration(tiny / "tiny.yaml", Training), tiny)
    left_out = []
    for fold in range(FOLDS):
        part = without_fold(rows, fold, FOLDS)
        assert all(fold_of(one.group, FOLDS) != fold for one in (*part.train, *part.selection))
        assert all(fold_of(one.group, FOLDS) == fold for one in part.validation)
        left_out += part.validation
    assert sorted(one.key for one in left_out) == sorted(one.key for one in (*rows.train, *rows.selection))


def test_a_folder_of_folds_says_which_weights_left_out_what(folded: Path) -> None:
    found = json.loads((folded / "run" / "folds.json").read_text())
    assert found["folds"] == FOLDS
    assert found["weights"] == [f"fold-{fold}/tiny.safetensors" for fold in range(FOLDS)]
    assert found["group"] == "title"
    for fold, (name, digest) in enumerate(zip(found["weights"], found["sha256"], strict=True)):
        assert sha256(folded / "run" / name) == digest
        assert read_metadata(folded / "run" / name)["fold"] == [fold, FOLDS]
    assert "It never saw fold 1 of 3" in (folded / "run" / "fold-1" / "tiny.md").read_text()
    assert "fold" not in read_metadata(folded / "run" / "whole" / "tiny.safetensors")


def test_runs_that_are_done_are_not_done_again(folded: Path, tiny: Path) -> None:
    run = folded / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    lost = run / "fold-1" / "tiny.safetensors"
    content = lost.read_bytes()
    lost.unlink()
    train(folded / "tiny.yaml", run, tiny, FOLDS)
    assert lost.read_bytes() == content
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path != lost)


def test_more_folds_than_groups_is_an_error(tiny: Path, tmp_path: Path) -> None:
    rows = read_rows(load_configuration(tiny / "tiny.yaml", Training), tiny)
    with pytest.raises(ValueError, match="too few groups for 5000 folds"):
        without_fold(rows, 0, 5_000)
