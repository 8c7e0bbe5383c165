"""Killed, out of money, or without a teacher: what was committed stays, is not asked again, and the rest follows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from capitoline.pipelines.distillation.answers import distil_answers

from .conftest import Configure, Row, Serve, Server, read_lines

KEY = "sk-a-key-that-nobody-may-see"
PRICES = {"prompt_price": 1000.0, "answer_price": 1000.0, "answer_tokens": 100, "concurrency": 1}
Answers = dict[str, list[Row]]


def start(config: Path, out: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "distil", "answers", str(config), "--out", str(out)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *options], env={**os.environ, **environment}, **pipes)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, errors = process.communicate(timeout=240)
    return process.returncode, output + errors


def committed(out: Path) -> list[Row]:
    return [row for part in sorted((out / "parts").glob("part-*.jsonl")) for row in read_lines(part)]


def outcome(out: Path) -> list[Row]:
    """The data set, without when and where it was asked for."""
    rows = [row for name in ("labelled", "discarded", "errors") for row in read_lines(out / f"{name}.jsonl")]
    return [{**row, "provenance": {**row["provenance"], "asked_at": "", "teacher": ""}} for row in rows]


def wait_for_parts(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(list((out / "parts").glob("part-*.jsonl"))) < count:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


def mixed(rows: list[Row], right: Answers) -> Answers:
    """Mostly right; one row is discarded and one an error."""
    return {**right, rows[3]["text"]: [{"label": "XXX"}], rows[17]["text"]: [{"say": "no"}]}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["process", "ray"])
def test_killed_half_way_and_started_again_it_asks_nothing_twice_and_gives_the_same_data_set(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path, where: str
) -> None:
    answers = mixed(rows, right)
    server = serve(answers=answers, delay=0.15, key=KEY)
    endpoint = {"concurrency": 1, "api_key_env": "TEACHER_KEY"}
    config = configure(server.url, endpoint=endpoint, asking={"where": where, "batch": 2, "actors": 2})
    out = tmp_path / "out"
    driver = start(config, out, TEACHER_KEY=KEY)
    wait_for_parts(out, 2, driver)
    driver.kill()
    driver.communicate()
    done = committed(out)
    assert 0 < len(done) < len(rows)
    before = {row["id"]: server.asked(row) for row in done}
    code, said = finish(start(config, out, TEACHER_KEY=KEY))
    assert code == 3, said
    assert {row["id"]: server.asked(row) for row in done} == before
    assert len(outcome(out)) == len(rows)
    undisturbed = serve(answers=answers)
    config = configure(undisturbed.url, asking={"where": "process", "batch": 2})
    distil_answers(config, tmp_path / "undisturbed", tmp_path)
    assert outcome(out) == outcome(tmp_path / "undisturbed")


@pytest.mark.slow
def test_ctrl_c_ends_it_with_a_word(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    config, out = configure(serve(answers=right, delay=2.0).url, endpoint={"concurrency": 2}), tmp_path / "out"
    driver = start(config, out)
    wait_for_parts(out, 1, driver)
    driver.send_signal(signal.SIGINT)
    code, said = finish(driver)
    assert code == 130, said
    assert "run the same command to continue" in said
    assert 0 < len(committed(out)) < len(rows)


def test_the_budget_stops_it_before_it_is_passed_and_a_larger_one_continues(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    """Each answer costs 0.12 and is foreseen to cost more, twice, because it may have to be asked again."""
    server, out = serve(answers=right), tmp_path / "out"
    counted, items = distil_answers(configure(server.url, endpoint=PRICES, budget=2.0), out, tmp_path)
    asked = len(server.requests())
    assert 0 < asked < items == len(rows)
    assert counted.usage.requests == asked == len(committed(out))
    assert 0.12 * asked <= 2.0
    assert f"| not asked yet | {items - asked} |" in (out / "README.md").read_text(encoding="utf-8")
    distil_answers(configure(server.url, endpoint=PRICES, budget=2.0), out, tmp_path)
    assert 0.12 * len(server.requests()) <= 2.0
    distil_answers(configure(server.url, endpoint=PRICES, budget=200.0), out, tmp_path)
    assert len(server.requests()) == len(rows) == len(outcome(out))


def test_a_budget_too_small_for_one_row_asks_nothing(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server = serve(answers=right)
    distil_answers(configure(server.url, endpoint=PRICES, budget=0.1), tmp_path / "out", tmp_path)
    assert server.requests() == []


def test_without_a_server_nothing_is_committed_and_the_same_run_continues_when_it_is_back(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    nobody = {"attempts": 2, "give_up": 3}
    with pytest.raises(RuntimeError, match="3 rows in a row were not served"):
        distil_answers(configure("http://127.0.0.1:9/v1", endpoint=nobody), out, tmp_path)
    assert committed(out) == []
    distil_answers(configure(serve(answers=right).url, endpoint=nobody), out, tmp_path)
    assert len(outcome(out)) == len(rows)


def test_a_server_that_breaks_on_the_way_stops_the_run_and_keeps_what_it_has(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    broken = {row["text"]: [{"status": 503}] for row in rows[8:]}
    server, out = serve(answers={**right, **broken}), tmp_path / "out"
    hasty = {"attempts": 2, "give_up": 2, "concurrency": 1}
    with pytest.raises(RuntimeError, match="cannot be asked any more"):
        distil_answers(configure(server.url, endpoint=hasty), out, tmp_path)
    assert [row["id"] for row in outcome(out)] == [row["id"] for row in rows[:8]]
    assert len(server.requests()) == 8 + 2 * 2


def test_a_wait_longer_than_ours_is_not_waited_for(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server = serve(answers={**right, rows[0]["text"]: [{"status": 429, "headers": {"Retry-After": "3600"}}]})
    started = time.monotonic()
    counted, _ = distil_answers(configure(server.url), tmp_path / "out", tmp_path)
    assert time.monotonic() - started < 30
    assert counted.errors.total() == 1


def test_errors_are_asked_about_again_only_on_request_and_what_they_cost_is_kept(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    flaky = {rows[5]["text"]: [{"say": "no"}, {"say": "no"}, *right[rows[5]["text"]]]}
    server, out = serve(answers={**right, **flaky}), tmp_path / "out"
    config = configure(server.url, endpoint={"answers": 2})
    assert distil_answers(config, out, tmp_path)[0].errors.total() == 1
    assert distil_answers(config, out, tmp_path)[0].errors.total() == 1
    assert len(server.requests()) == len(rows) + 1
    counted, _ = distil_answers(config, out, tmp_path, retry_errors=True)
    assert len(server.requests()) == counted.usage.requests == len(rows) + 2
    assert [row["id"] for row in outcome(out)] == [row["id"] for row in rows]


def test_another_question_or_other_rows_are_refused(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server, out = serve(answers=right), tmp_path / "out"
    distil_answers(configure(server.url), out, tmp_path)
    with pytest.raises(ValueError, match="holds another job"):
        distil_answers(configure(server.url, question={"characters": 100}), out, tmp_path)
    with pytest.raises(ValueError, match="holds another job"):
        distil_answers(configure(server.url, table=rows[:5]), out, tmp_path)


@pytest.mark.slow
def test_the_key_is_in_no_file_and_no_message(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    """Even of a server that repeats it in answers and errors."""
    echo = {
        rows[0]["text"]: [{"label": rows[0]["rating5"], "reason": f"because {KEY}"}],
        rows[1]["text"]: [{"status": 400, "body": {"error": {"message": f"bad {KEY}"}}}],
        rows[2]["text"]: [{"say": f"{KEY}"}],
        rows[3]["text"]: [{"label": KEY}],
    }
    server, out = serve(answers={**right, **echo}, key=KEY), tmp_path / "out"
    config = configure(server.url, endpoint={"api_key_env": "TEACHER_KEY"})
    code, said = finish(start(config, out, TEACHER_KEY=KEY))
    assert code == 3, said
    assert len(outcome(out)) == len(rows)
    assert KEY not in said
    assert [path for path in out.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []
    assert any("because [key]" in row.get("reason", "") for row in outcome(out))


@pytest.mark.slow
def test_a_wrong_key_ends_the_run_at_once_and_a_missing_one_before_it(
    serve: Serve, configure: Configure, rows: list[Row], right: Answers, tmp_path: Path
) -> None:
    server: Server = serve(answers=right, key=KEY)
    config, out = configure(server.url, endpoint={"api_key_env": "TEACHER_KEY"}), tmp_path / "out"
    code, said = finish(start(config, out, TEACHER_KEY="sk-mistyped"))
    assert (code, committed(out)) == (1, [])
    assert "HTTP 401" in said and "run the same command to continue" in said and "mistyped" not in said
    for unfit, why in (("", "TEACHER_KEY holds no key"), ("sk-first\nsk-second", "TEACHER_KEY holds line ends")):
        code, said = finish(start(config, out, TEACHER_KEY=unfit))
        assert code == 2
        assert why in said and "sk-" not in said
