"""A corpus, an undisturbed run of it, and a cluster whose nodes can be killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from capitoline.pipelines.store import read_ratings
from tests.faults.corpus import Corpus, make_corpus
from tests.faults.jobs import ENDED, command, completed
from tests.faults.nodes import Nodes

ITEMS = 120
FEWEST_SCHEDULES = 10


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("corpus"), ITEMS)


@pytest.fixture(scope="session")
def undisturbed(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a job that nothing happened to, in one process."""
    out = tmp_path_factory.mktemp("undisturbed")
    ended = completed(command([corpus.manifest], out, corpus.configs["fused"], "--where", "process"))
    assert ended.code in ENDED, ended
    failed = [row["item_id"] for table in read_ratings(out) for row in table.to_pylist() if row["failed"]]
    assert failed == ["item 0", "item 40", "item 80"], "only the broken pictures fail"
    return out


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    cluster = Nodes()
    yield cluster
    cluster.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`CAPITOLINE_KILL_SCHEDULES` schedules (10), from the seed `CAPITOLINE_KILL_SEED` (0) on."""
    if "seed" in metafunc.fixturenames:
        first = int(os.environ.get("CAPITOLINE_KILL_SEED", "0"))
        count = int(os.environ.get("CAPITOLINE_KILL_SCHEDULES", FEWEST_SCHEDULES))
        seeds = range(first, first + count)
        metafunc.parametrize("seed", seeds, ids=[f"seed-{seed}" for seed in seeds])
