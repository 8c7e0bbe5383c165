"""How many hostile files are made and from which seed: few in CI, always the same; many at night, always others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.decoding.conftest import limits, sampling
from tests.hostile.corpus import corpus, every_format

__all__ = ["limits", "sampling"]

FILES = int(os.environ.get("CAPITOLINE_HOSTILE_FILES", "300"))
SEED = int(os.environ.get("CAPITOLINE_HOSTILE_SEED", "6"))


@pytest.fixture(scope="session")
def parents(data: Path) -> dict[str, bytes]:
    return corpus(data)


@pytest.fixture(scope="session")
def made() -> dict[str, bytes]:
    """A sound file of every format."""
    return every_format()


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints also where the test passes."""

    def printed(words: str) -> None:
        with capsys.disabled():
            print(f"\n{words}")

    return printed
