"""`capitoline watch` as a process: killed, stopped, scraped, and equal to `rate`."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capitoline.configs.settings import Settings, load_settings
from capitoline.modalities.schema import UNRATED
from capitoline.pipelines import rate
from capitoline.pipelines.explain import explain
from capitoline.pipelines.fingerprint import fingerprint, refuse_other_command
from capitoline.pipelines.lock import locked
from capitoline.pipelines.replay import replay
from capitoline.pipelines.store import Store, read_evidence
from capitoline.pipelines.watching.suspects import IN_HAND
from tests.watching.processes import Process, Row, ratings

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
LINES = 120


@pytest.fixture(scope="module")
def plots(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film plots with genres, as JSON lines."""
    path = tmp_path_factory.mktemp("plots") / "plots.jsonl"
    with gzip.open(data / "posters_mm.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in itertools.islice(file, LINES)]
    kept = [{"id": row["id"], "text": row["text"], "tags": row["genres"]} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    return path


def opinions(out: Path) -> dict[tuple[str, str], Row]:
    """What each expert said of each item; every expert must have spoken once."""
    rows = [row for table in read_evidence(out) for row in table.to_pylist()]
    by_expert = {(row["item_id"], row["expert"]): row for row in rows}
    assert len(by_expert) == len(rows)
    return by_expert


def assert_rated_alike(out: Path, other: Path) -> None:
    """Probabilities may differ in their last digits, which depend on what shared a batch; nothing else may."""
    assert essence(ratings(out)) == essence(ratings(other))
    here, there = opinions(out), opinions(other)
    assert here.keys() == there.keys()
    for key, row in here.items():
        assert (row["outcome"], row["severity"]) == (there[key]["outcome"], there[key]["severity"])
        assert row["probabilities"] == pytest.approx(there[key]["probabilities"], abs=1e-4)


def essence(rows: dict[str, Row]) -> dict[str, tuple[Any, ...]]:
    return {name: (row["digest"], row["rating"], row["failed"], row["review"]) for name, row in rows.items()}


def test_killed_twice_it_has_every_item_once_and_rates_like_the_batch_job(
    run: Callable[..., Process], light: Path, plots: Path, tmp_path: Path
) -> None:
    out, quick = tmp_path / "out", tmp_path / "quick.yaml"
    settings = load_settings(light)
    small = settings.model_copy(update={"running": settings.running.model_copy(update={"batch_items": 4})})
    quick.write_text(json.dumps(small.model_dump(mode="json")), encoding="utf-8")
    command = ["-", "--out", str(out), "--config", str(quick), "--jsonl"]
    for _ in range(2):
        with plots.open("rb") as lines:
            watch = run(*command, stdin=lines)
            told = watch.committed(20)
            watch.kill()
        known = ratings(out)
        assert all(line["item_id"] in known for line in told)
        assert len(known) < LINES
    with plots.open("rb") as lines:
        last = run(*command, stdin=lines)
        assert last.ended() == 0
    rate(str(plots), tmp_path / "rated", settings)
    assert_rated_alike(out, tmp_path / "rated")
    assert json.loads((out / "summary.json").read_text())["items"] == LINES


def test_asked_to_stop_it_rates_what_the_pipe_has_given_and_ends_well(
    run: Callable[..., Process], light: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["-", "--out", str(out), "--config", str(light), "--jsonl", "--max-wait"]
    watch = run(*command, "0", stdin=subprocess.PIPE)
    watch.stdin.write(b'{"id": "first", "text": "A boy and his dog spend a summer at the lake."}\n')
    watch.stdin.flush()
    assert watch.committed(1)[0]["item_id"] == "first"
    assert explain(out, "first").record.verdict.rating != UNRATED
    watch.signal(signal.SIGTERM)
    assert watch.ended() == 0
    assert (out / "report.html").exists()

    patient = run(*command, "3600", "--metrics-port", "0", stdin=subprocess.PIPE)
    patient.stdin.write(b'{"id": "second", "text": "A killer hunts them."}\n{"id": "third", "te')
    patient.stdin.flush()
    waiting = patient.metrics_when("capitoline_queue_items", 1)
    assert 0 < waiting["capitoline_oldest_waiting_seconds"] < 600
    assert list(ratings(out)) == ["first"]
    patient.signal(signal.SIGINT)
    assert patient.ended() == 0
    assert list(ratings(out)) == ["first", "second"]


def test_a_folder_with_pictures_is_rated_like_the_batch_job_and_its_figures_can_be_scraped(
    run: Callable[..., Process], tmp_path: Path
) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    for name in ("lake.jpg", "lake.json", "lake.txt", "broken.jpg", "warning-sign.png", "picnic.txt", "slasher.txt"):
        shutil.copy(SAMPLES / name, inbox)
    watch = run(str(inbox), "--out", str(out), "--jsonl", "--settle", "0.2", "--poll", "0.2", "--metrics-port", "0")
    told = watch.committed(5)
    figures = watch.metrics()
    by_rating = {line["rating"]: 0 for line in told}
    for line in told:
        by_rating[line["rating"]] += 1
    assert {rating: figures[f'capitoline_items_total{{rating="{rating}"}}'] for rating in by_rating} == by_rating
    assert any(name.startswith("capitoline_failures_total{cause=") for name in figures)
    assert figures['capitoline_stage_seconds_total{stage="image"}'] > 0
    assert (figures["capitoline_queue_items"], figures["capitoline_oldest_waiting_seconds"]) == (0, 0)
    assert figures["capitoline_latency_seconds_count"] == 5
    watch.signal(signal.SIGTERM)
    assert watch.ended() == 0

    rate(str(inbox), tmp_path / "rated")
    assert_rated_alike(out, tmp_path / "rated")
    assert ratings(out)["inbox/broken.jpg"]["rating"] == UNRATED
    assert replay(out, Settings()).moved == ()


@pytest.mark.parametrize("taken_over", [False, True])
def test_a_folder_that_is_removed_or_taken_over_stops_it_and_gets_nothing_of_it(
    run: Callable[..., Process], light: Path, tmp_path: Path, taken_over: bool
) -> None:
    out = tmp_path / "out"
    watch = run("-", "--out", str(out), "--config", str(light), "--jsonl", "--max-wait", "0", stdin=subprocess.PIPE)
    watch.stdin.write(b'{"id": "first", "text": "A boy and his dog."}\n')
    watch.stdin.flush()
    watch.committed(1)
    out.rename(tmp_path / "moved")
    if taken_over:
        with locked(out):
            Store(out).prepare()
    watch.stdin.write(b'{"id": "second", "text": "A killer hunts them."}\n')
    watch.stdin.flush()
    assert "was removed or replaced" in watch.failed()
    assert list(ratings(tmp_path / "moved")) == ["first"]
    assert not out.exists() or ratings(out) == {}
    assert not (out / IN_HAND).exists()


def test_another_configuration_or_source_is_refused(run: Callable[..., Process], light: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert run("-", "--out", out, "--config", str(light)).ended() == 0
    assert run("-", "--out", out).ended() == 2
    assert run(out, "--out", out, "--config", str(light)).ended() == 2
    assert run(str(tmp_path), "--out", out, "--config", str(light), "--until-idle", "0").ended() == 2


def test_a_watch_and_a_job_of_rate_do_not_share_a_folder(tmp_path: Path) -> None:
    watch_of, job = (fingerprint(Settings(), manifest, 1, 1, {}) for manifest in ("watch inbox", "00ff"))
    with pytest.raises(ValueError, match="holds results of `capitoline rate`, to which `capitoline watch` cannot add"):
        refuse_other_command(tmp_path, job, watch_of)
    with pytest.raises(ValueError, match="holds results of `capitoline watch`, to which `capitoline rate` cannot add"):
        refuse_other_command(tmp_path, watch_of, job)
    refuse_other_command(tmp_path, job, job)
