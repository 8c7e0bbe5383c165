"""A few real posters as a manifest, and the light experts that look at them."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from capitoline.configs.settings import Running, Settings, TagsExpert, TextExpert
from capitoline.pipelines.job import Request
from capitoline.pipelines.sources.columns import Columns

POSTERS = 60


@pytest.fixture(scope="session")
def light() -> Settings:
    """Text and tags, which load in a moment."""
    return Settings(experts=(TextExpert(), TagsExpert()), running=Running(where="process"))


@pytest.fixture(scope="session")
def posters(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest = tmp_path_factory.mktemp("posters") / "posters.jsonl"
    with gzip.open(data / "posters_mm.jsonl.gz", "rt", encoding="utf-8") as file:
        manifest.write_text("".join(itertools.islice(file, POSTERS)), encoding="utf-8")
    return manifest


@pytest.fixture(scope="session")
def request_for(data: Path) -> Callable[[Path, Path], Request]:
    """The request for a manifest of posters, into a folder."""
    columns = Columns.parse("text=text,tags=genres,image=poster")
    return lambda manifest, out: Request((str(manifest),), out, columns, str(data / "posters_mm.zip"))
