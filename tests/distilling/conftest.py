"""Real rows, and a teacher: a chat server in a process of its own that follows a scenario."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

SERVER = Path(__file__).with_name("chat_server.py")
ROWS = 24

Row = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """A running chat server."""

    url: str
    log: Path

    def requests(self) -> list[Row]:
        return read_lines(self.log)

    def asked(self, row: Row) -> int:
        """Requests about one row."""
        return sum(one["text"] == row["text"] for one in self.requests())


Serve = Callable[..., Server]
Configure = Callable[..., Path]


def read_lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


@pytest.fixture(scope="session")
def rows(data: Path) -> list[Row]:
    """Film posters with their plots and the MPAA's ratings, each text once."""
    with gzip.open(data / "posters_mm.jsonl.gz", "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line in itertools.islice(file, 4 * ROWS)]
    by_text = {row["text"]: row for row in found if row["text"] and row["rating5"]}
    return list(by_text.values())[:ROWS]


@pytest.fixture(scope="session")
def right(rows: list[Row]) -> dict[str, list[Row]]:
    """A scenario's answers: for every row the right one."""
    return {row["text"]: [{"label": row["rating5"], "reason": f"for {row['genres']}"}] for row in rows}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers and ends them: `serve(answers={…}, otherwise=[…], key="…", delay=0.1)`."""
    with ExitStack() as stack:
        yield lambda **scenario: stack.enter_context(running(tmp_path, scenario))


@contextmanager
def running(folder: Path, scenario: Row) -> Iterator[Server]:
    number = len(list(folder.glob("scenario-*.json")))
    path, log = folder / f"scenario-{number}.json", folder / f"requests-{number}.jsonl"
    path.write_text(json.dumps(scenario), encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(SERVER), str(path), str(log)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}/v1", log)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def configure(rows: list[Row], tmp_path: Path) -> Configure:
    """Writes a configuration beside a manifest of `rows`: `configure(url, policy="keep", endpoint={…})`."""

    def configure(url: str, /, table: list[Row] = rows, endpoint: Row | None = None, **changed: Any) -> Path:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
        settings = {
            "name": "answers",
            "purpose": "A test.",
            "rows": {"paths": [str(tmp_path / "rows.jsonl")], "columns": "tags=genres"},
            "trusted": {"column": "rating5"},
            "endpoint": {"url": url, "model": "scenario", "backoff": 0.01, "timeout": 10, **(endpoint or {})},
            "asking": {"where": "process", "batch": 4},
            **changed,
        }
        path = tmp_path / "answers.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path

    return configure
