"""A job for a cluster's job server: the command that is printed is one that this command line takes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capitoline.pipelines.cli import app
from capitoline.pipelines.submission import submission

HEAD = ["ray", "job", "submit", "--address", "http://head:8265", "--", "capitoline"]


def test_rate_prints_the_submission_and_rates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["rate", "photos", "s3://bucket/films", "--out", "results", "--columns", "text=plot", "--jsonl"]
    printed = CliRunner().invoke(app, [*given, "--job", "http://head:8265"])
    words = shlex.split(printed.output)
    assert printed.exit_code == 0 and words[: len(HEAD)] == HEAD
    assert words[len(HEAD) :] == [
        *("rate", str(tmp_path / "photos"), "s3://bucket/films", "--out", str(tmp_path / "results")),
        *("--columns", "text=plot", "--jsonl", "--address", "auto", "--quiet"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_what_a_shell_would_take_apart_is_quoted() -> None:
    words = submission("http://head:8265", ["/media/it's; here"], {"--lanes": 0})
    assert shlex.split(shlex.join(words)) == words and words[-4:] == [
        "/media/it's; here",
        "--address",
        "auto",
        "--quiet",
    ]
