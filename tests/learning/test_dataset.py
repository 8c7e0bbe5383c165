from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from capitoline.configs.evaluation import Evaluation
from capitoline.configs.training import Source, Training, load_configuration
from capitoline.pipelines.training.dataset import Division, read_examples

LABELS = ("PG", "R", "X")
CONFIGS = Path(__file__).parent.parent.parent / "configs"


def _write(path: Path, rows: list[dict[str, Any]]) -> Source:
    with gzip.open(path / "rows.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    return Source(file="rows.jsonl.gz", columns=("text",), mapping={"mature": "X"})


def test_a_row_without_a_label_is_left_out_not_read_as_harmless(tmp_path: Path) -> None:
    source = _write(
        tmp_path,
        [
            {"id": "a", "split": "train", "rating5": "R"},
            {"id": "b", "split": "train", "rating5": None},
            {"id": "c", "split": "train"},
            {"id": "d", "split": "val", "rating5": "mature"},
        ],
    )
    examples = read_examples([source], tmp_path, LABELS)
    assert [(one.id, one.severity, one.division) for one in examples] == [
        ("a", 1, Division.TRAIN),
        ("d", 2, Division.VALIDATION),
    ]


def test_a_label_off_the_scale_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    source = _write(tmp_path, [{"id": "a", "split": "train", "rating5": "TV-Y"}])
    with pytest.raises(ValueError, match=r"'TV-Y' is not on the scale; give it a line under `mapping:`"):
        read_examples([source], tmp_path, LABELS)


def test_a_missing_file_is_an_error_that_says_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set CAPITOLINE_DATA"):
        read_examples([Source(file="none.jsonl.gz")], tmp_path, LABELS)


def test_a_title_never_stands_on_both_sides_of_the_selection(tmp_path: Path) -> None:
    rows = [
        {"id": str(row), "split": "train", "rating5": "R", "title": f"Film {row % 200}{' ' * (row % 2)}"}
        for row in range(1_000)
    ]
    examples = read_examples([_write(tmp_path, rows)], tmp_path, LABELS, selection=0.2)
    sides: dict[str, set[Division]] = {}
    for example in examples:
        sides.setdefault(example.row["title"].strip(), set()).add(example.division)
    assert all(len(one) == 1 for one in sides.values())
    held_out = sum(one.division is Division.SELECTION for one in examples)
    assert 100 < held_out < 300


@pytest.mark.parametrize("path", sorted((CONFIGS / "train").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_training_configuration_loads(path: Path) -> None:
    settings = load_configuration(path, Training)
    assert settings.name == path.stem
    assert all(source.licence for source in settings.sources)


@pytest.mark.parametrize("path", sorted((CONFIGS / "eval").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_evaluation_configuration_loads(path: Path) -> None:
    assert load_configuration(path, Evaluation).weights == path.stem


def test_a_misspelt_key_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: text\nepoch: 3\n")
    with pytest.raises(ValueError, match="epoch: Extra inputs"):
        load_configuration(tmp_path / "bad.yaml", Training)
