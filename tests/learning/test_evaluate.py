from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from capitoline.configs.evaluation import Evaluation, Task
from capitoline.configs.training import Source, load_configuration
from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.pipelines.evaluate import evaluate, write_results
from capitoline.pipelines.evaluation.raters import RATERS
from capitoline.pipelines.evaluation.result import Result
from capitoline.pipelines.evaluation.rows import gather
from capitoline.pipelines.evaluation.table import HEADINGS, markdown, table_of
from capitoline.pipelines.training.dataset import stretches, targets_of

CONFIGS = Path(__file__).parent.parent.parent / "configs" / "eval"

KNOWN_AS_WORTHLESS = "SafeRLHF: question + answer, harmful"
"""A kappa of 0.09 on 112 rows, as the README's table says: what the head learnt elsewhere does not carry over."""

TINY = """
kind: text
weights: {weights}
tasks:
  - {{name: scenes, source: {{file: rows.jsonl, columns: [text]}}, floor: {{kappa: 0.5}}, target: {{kappa: 0.6}}}}
  - {{name: genres, source: {{file: rows.jsonl, head: tags, columns: [tags]}}, target: {{recall: {{R: 1}}}}}}
  - name: scenes and genres
    source: {{file: rows.jsonl, columns: [text]}}
    beside: [{{file: rows.jsonl, head: tags, columns: [tags]}}]
  - {{name: harm, source: {{file: rows.jsonl, head: harm, columns: [text]}}, target: {{kappa: 0.1}}}}
"""


@pytest.fixture(scope="module")
def results(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    config = tmp_path_factory.mktemp("evaluation") / "tiny.yaml"
    config.write_text(TINY.format(weights=tiny / "run" / "tiny.safetensors"))
    return evaluate(config, tiny)


def test_a_table_sets_our_figures_beside_intervals_floor_and_target(results: list[Result]) -> None:
    scenes, genres, both, _ = results
    assert scenes.kappa > 0.9
    assert genres.count == 40
    assert both.kappa > 0.9
    assert scenes.ordered is not None
    assert scenes.ordered.majority.kappa == 0.0
    assert scenes.ordered.intervals.kappa.low <= scenes.kappa <= scenes.ordered.intervals.kappa.high
    assert scenes.documents_a_second > 0
    printed = io.StringIO()
    Console(width=200, file=printed).print(table_of(results))
    assert "0.500" in printed.getvalue()
    assert "met" in printed.getvalue()


def test_a_recall_that_is_asked_for_must_be_exceeded(results: list[Result]) -> None:
    assert results[0].met is True
    assert results[1].met is False
    assert results[2].met is None


def test_a_head_that_the_weights_have_not_is_reported_and_is_no_crash(results: list[Result]) -> None:
    assert results[3].note == "no head harm"
    assert results[3].met is None
    assert results[3].as_json()["kappa"] is None


def test_figures_table_and_page_are_written(results: list[Result], tmp_path: Path) -> None:
    write_results(tmp_path, results)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures[0]["ordered"]["figures"]["recall"][0] == 1.0
    assert figures[0]["floor"] == {"kappa": 0.5}
    table = (tmp_path / "table.md").read_text().splitlines()
    assert table == markdown(results).splitlines()
    assert all(line.count("|") == len(HEADINGS) + 1 for line in table[: len(results) + 2])
    page = (tmp_path / "evaluation.html").read_text()
    assert "scenes" in page
    assert "no head harm" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page


def test_a_text_that_occurs_in_training_is_not_unseen(tmp_path: Path) -> None:
    rows = [("for violence", "train"), ("For  violence", "val"), ("for language", "val")]
    lines = [
        json.dumps({"id": str(place), "split": split, "rating5": "R", "text": text})
        for place, (text, split) in enumerate(rows)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    task = Task(name="phrases", source=Source(file="rows.jsonl", columns=("text",)), unseen=True)
    found = gather(task, task.source, HeadShape(("PG", "R")), "val", 0.08, tmp_path)
    assert [one.row["text"] for one in found.reported] == ["for language"]


@pytest.mark.parametrize(("frames", "pieces"), [(40, [(0, 16), (16, 32)]), (16, [(0, 16)]), (5, [(0, 5)])])
def test_a_clip_is_cut_into_whole_stretches_and_a_short_one_stays(frames: int, pieces: list[tuple[int, int]]) -> None:
    assert stretches(frames, 16) == pieces


def test_an_absent_key_is_unknown_and_not_harmless(data: Path) -> None:
    settings = load_configuration(CONFIGS / "text.yaml", Evaluation)
    (task,) = (one for one in settings.tasks if one.source.head == "openai")
    axes = tuple(task.source.axes)
    found = gather(task, task.source, HeadShape(("absent", "present"), axes), "val", 0.08, data)
    every = found.reported + found.held_out + found.trained
    targets = targets_of(every)
    assert targets.shape[1] == 8
    for example, known in zip(every, targets != -1, strict=True):
        assert set(example.row["harm_raw"]) == set(np.array(axes)[known])
    assert (targets == -1).any()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_task_has_a_name_of_its_own_and_a_target_above_its_floor(path: Path) -> None:
    settings = load_configuration(path, Evaluation)
    assert settings.kind in RATERS
    assert len({one.name for one in settings.tasks}) == len(settings.tasks)
    for one in settings.tasks:
        if one.floor.kappa is not None and one.target.kappa is not None:
            assert one.target.kappa > one.floor.kappa


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "image", "video"])
def test_shipped_weights_beat_the_most_frequent_label(kind: str, data: Path) -> None:
    ordered = [(one.task, one.ordered) for one in evaluate(CONFIGS / f"{kind}.yaml", data) if one.ordered]
    several = [(task, one) for task, one in ordered if one.majority.accuracy < 0.9]
    assert several
    for task, one in several:
        assert one.figures.kappa > 0.1 or task == KNOWN_AS_WORTHLESS, task
        assert one.figures.macro_f1 > one.majority.macro_f1, task
