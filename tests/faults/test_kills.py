"""Whoever is killed at whatever moment: the same command again, and the job ends as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.corpus import Corpus
from tests.faults.disturbing import run_disturbed
from tests.faults.jobs import ENDED, assert_equals_undisturbed, command, committed_files, completed
from tests.faults.nodes import Nodes
from tests.faults.schedule import Setting, drawn

pytestmark = pytest.mark.slow


def test_a_job_survives_its_kill_schedule(
    seed: int, corpus: Corpus, undisturbed: Path, nodes: Nodes, tmp_path: Path
) -> None:
    schedule = drawn(seed)
    print(schedule)
    out = tmp_path / "out"
    arguments = command([corpus.manifest], out, _config(corpus, schedule.setting), *_where(schedule.setting, nodes))
    assert run_disturbed(schedule, arguments, out, corpus, nodes), "the job ended before the first kill"
    before = committed_files(out)
    ended = completed(arguments)
    assert ended.code in ENDED, ended
    assert before.items() <= committed_files(out).items(), "a committed shard was written again"
    assert_equals_undisturbed(out, undisturbed, corpus)


def _config(corpus: Corpus, setting: Setting) -> Path:
    return corpus.configs["split" if setting is Setting.SPLIT else "fused"]


def _where(setting: Setting, nodes: Nodes) -> list[str]:
    if setting is Setting.PROCESS:
        return ["--where", "process"]
    return ["--where", "ray"] if setting is Setting.LOCAL else ["--where", "ray", "--address", nodes.address]
