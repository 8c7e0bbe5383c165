"""Rows in, a labelled data set out: nothing lost, nothing asked twice, nothing invented. A real server, real rows."""

from __future__ import annotations

from pathlib import Path

from capitoline.pipelines.distillation.answers import distil_answers

from .conftest import Configure, Row, Serve, read_lines


def test_x(serve: Serve, configure: Configure, rows: list[Row], right: dict[str, list[Row]], tmp_path: Path) -> None:
    server = serve(answers=right)
    out = tmp_path / "out"
    counted, items = distil_answers(configure(server.url), out, tmp_path)
    print((out / "README.md").read_text())
    print(read_lines(out / "labelled.jsonl")[0])
    print(counted, items)
    assert [row["label"] for row in read_lines(out / "labelled.jsonl")] == [row["rating5"] for row in rows]
