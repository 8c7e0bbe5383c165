"""Watches that do not outlive their test, and settings under which they start in a moment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from capitoline.configs.settings import Settings, TagsExpert, TextExpert
from tests.watching.processes import Process


@pytest.fixture
def run() -> Iterator[Callable[..., Process]]:
    """Starts watches that do not outlive the test."""
    started: list[Process] = []

    def start(*arguments: str, stdin: IO[bytes] | int | None = subprocess.DEVNULL) -> Process:
        started.append(Process(*arguments, stdin=stdin))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings with experts that load in a moment."""
    path = tmp_path_factory.mktemp("settings") / "light.yaml"
    settings = Settings(experts=(TextExpert(), TagsExpert()))
    path.write_text(json.dumps(settings.model_dump(mode="json")), encoding="utf-8")  # JSON is YAML
    return path
