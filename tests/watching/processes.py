"""`capitoline watch` as a process, and what it leaves."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

from capitoline.pipelines.commands.common import CANNOT_GO_ON
from capitoline.pipelines.store import read_ratings

Row = dict[str, Any]


class Process:
    """A running watch."""

    def __init__(self, *arguments: str, stdin: IO[bytes] | int | None = None) -> None:
        command = [sys.executable, "-m", "capitoline.pipelines.cli", "watch", *arguments]
        self._process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._metrics: re.Match[str] | None = None

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def committed(self, count: int) -> list[Row]:
        """The next `count` lines that it tells."""
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline() for _ in range(count)]
        assert all(lines), self._process.communicate()
        return [json.loads(line) for line in lines]

    def metrics(self) -> dict[str, float]:
        """What it tells Prometheus, where it says that it does."""
        assert self._process.stderr is not None
        while self._metrics is None:
            line = self._process.stderr.readline()
            assert line, "it ended without metrics"
            self._metrics = re.search(r"http://\S+", line.decode())
        with urlopen(self._metrics[0], timeout=10) as answer:
            samples = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in samples)}

    def metrics_when(self, name: str, value: float) -> dict[str, float]:
        """The figures once one of them has this value."""
        deadline = time.monotonic() + 180
        while (figures := self.metrics())[name] != value:
            assert time.monotonic() < deadline, figures
            time.sleep(0.1)
        return figures

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        """Its exit code; what it reads from stays open until then."""
        self._process.wait(timeout=300)
        self._process.communicate()
        return self._process.returncode

    def failed(self) -> str:
        """What it said when it could not go on."""
        self._process.wait(timeout=300)
        assert self._process.returncode == CANNOT_GO_ON
        return self._process.communicate()[1].decode()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def ratings(out: Path) -> dict[str, Row]:
    """By id; every item must be there once."""
    rows = [row for table in read_ratings(out) for row in table.to_pylist()]
    assert len({row["item_id"] for row in rows}) == len(rows)
    return {row["item_id"]: row for row in rows}
