from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from capitoline.configs.evaluation import Evaluation
from capitoline.configs.training import Source, Training, load_configuration
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.pipelines.training.dataset import Division, read_examples

LABELS = ("PG", "R", "X")
HARMS = HeadShape(("absent", "present"), ("S", "H", "V"))
YES = {"0": "absent", "1": "present"}
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


def test_an_axis_that_nobody_judged_is_unknown_and_never_the_mildest(tmp_path: Path) -> None:
    source = _write(
        tmp_path,
        [
            {"id": "a", "split": "train", "harm": {"S": 1, "H": 0}},
            {"id": "b", "split": "train", "harm": {"V": 0.0, "H": None}},
            {"id": "c", "split": "train", "harm": {}},
            {"id": "d", "split": "train"},
        ],
    ).model_copy(update={"head": "harms", "axes": {"S": "harm.S", "H": "harm.H", "V": "harm.V"}, "mapping": YES})
    examples = read_examples([source], tmp_path, LABELS, heads={"harms": HARMS})
    assert [(one.id, one.severities) for one in examples] == [("a", (1, 0, -1)), ("b", (-1, -1, 0))]


@pytest.mark.parametrize(("complete", "absent"), [(True, 0), (False, -1)])
def test_what_a_list_does_not_name_is_absent_only_if_the_list_is_complete(
    tmp_path: Path, complete: bool, absent: int
) -> None:
    rows = [{"id": "a", "split": "train", "harm": ["V"]}, {"id": "b", "split": "val", "harm": []}]
    listed = {"head": "harms", "listed": "harm", "complete": complete}
    source = _write(tmp_path, rows).model_copy(update=listed)
    examples = read_examples([source], tmp_path, LABELS, heads={"harms": HARMS})
    expected = [("a", (absent, absent, 1)), ("b", (0, 0, 0))]
    assert [(one.id, one.severities) for one in examples] == expected[: 1 + complete]


def test_a_list_that_names_no_axis_of_the_head_is_an_error(tmp_path: Path) -> None:
    source = _write(tmp_path, [{"id": "a", "split": "train", "harm": ["spam"]}])
    with pytest.raises(ValueError, match="'spam' is no axis of the head"):
        changed = source.model_copy(update={"head": "harms", "listed": "harm"})
        read_examples([changed], tmp_path, LABELS, heads={"harms": HARMS})


def test_only_the_rows_that_were_asked_for_are_read(tmp_path: Path) -> None:
    rows = [{"id": task, "split": "train", "rating5": "R", "task": task} for task in ("hate", "offence")]
    source = _write(tmp_path, rows).model_copy(update={"where": {"task": "hate"}})
    assert [one.id for one in read_examples([source], tmp_path, LABELS)] == ["hate"]


def test_rows_of_another_split_are_not_looked_at(tmp_path: Path) -> None:
    rows = [{"id": split, "split": split, "rating5": "R"} for split in ("train", "test", "val", "")]
    assert [one.id for one in read_examples([_write(tmp_path, rows)], tmp_path, LABELS)] == ["train", "val"]


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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("epoch: 3", r"epoch: Extra inputs are not permitted; did you mean `epochs`\?"),
        ("network: {width: 64, layer: 2}", r"network\.layer: .*; did you mean `layers`\?"),
        ("lessons: {teachers: [{weights: x}], blends: [{file: x, head: [text]}]}", r"head: .*; did you mean `heads`\?"),
        ("network: {width: 100, layers: 2}", r"network\.width: Input should be a multiple of 64"),
        ("qqq: 3", "qqq: Extra inputs are not permitted$"),
    ],
)
def test_what_no_training_can_have_is_refused_by_name(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(f"{line}\nkind: text\n")
    with pytest.raises(ValueError, match=said):
        load_configuration(tmp_path / "bad.yaml", Training)
