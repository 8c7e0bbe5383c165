from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from capitoline.pipelines.evaluate import evaluate, table_of

CONFIGS = Path(__file__).parent.parent.parent / "configs" / "eval"


def test_a_table_sets_our_figures_beside_the_majority_and_the_floor(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(
        f"kind: text\nweights: {tiny}/run/tiny.safetensors\ntasks:\n"
        "  - {name: scenes, source: {file: rows.jsonl, columns: [text]}, floor: {kappa: 0.5}}\n"
        "  - {name: genres, source: {file: rows.jsonl, head: tags, columns: [tags]}}\n"
    )
    scenes, genres = evaluate(tmp_path / "tiny.yaml", tiny)
    assert scenes.figures.kappa > 0.9
    assert genres.figures.count == 40
    assert scenes.majority.kappa == 0.0
    printed = io.StringIO()
    Console(width=200, file=printed).print(table_of([scenes, genres]))
    assert "0.500" in printed.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "image", "video"])
def test_shipped_weights_beat_the_most_frequent_label(kind: str, data: Path) -> None:
    results = evaluate(CONFIGS / f"{kind}.yaml", data)
    several = [one for one in results if one.majority.accuracy < 0.9]
    assert several
    for one in several:
        assert one.figures.kappa > 0.1, one.task
        assert one.figures.macro_f1 > one.majority.macro_f1, one.task
