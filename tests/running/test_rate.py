"""What a user gets from `capitoline rate` with the default experts, on real media."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from capitoline.configs.settings import Running, Settings
from capitoline.modalities.schema import UNRATED, Outcome
from capitoline.pipelines import rate, rate_request
from capitoline.pipelines.job import Request
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.store import read_evidence, read_ratings

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
Row = dict[str, Any]


def ratings(out: Path) -> dict[str, Row]:
    return {row["item_id"]: row for table in read_ratings(out) for row in table.to_pylist()}


def evidence(out: Path, expert: str) -> dict[str, Row]:
    rows = [row for table in read_evidence(out) for row in table.to_pylist()]
    return {row["item_id"]: row for row in rows if row["expert"] == expert}


def capitoline(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "capitoline.pipelines.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples")
    rate(str(SAMPLES), out)
    return out


@pytest.fixture(scope="module")
def clips(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips")
    rate([str(data / name) for name in ("video_clips", "speech_clips", "esc10_sounds")], out)
    return out


@pytest.fixture(scope="module")
def corrupt(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corrupt")
    rate(str(data / "corrupt_media.zip"), out)
    return out


def test_every_sample_comes_out_and_the_broken_one_is_an_error(samples: Path) -> None:
    found = ratings(samples)
    assert len(found) == 11
    broken = found.pop("samples/broken.jpg")
    assert (broken["rating"], broken["failed"]) == (UNRATED, True)
    assert not any(row["failed"] for row in found.values())


@pytest.mark.parametrize(
    ("expert", "item"),
    [
        ("text", "samples/slasher.txt"),
        ("tags", "samples/lake.jpg"),
        ("thresholds", "samples/lake.jpg"),
        ("image", "samples/lake.jpg"),
        ("ocr", "samples/warning-sign.png"),
        ("audio", "samples/late-show.ogg"),
        ("video", "samples/sunrise.mp4"),
    ],
)
def test_each_expert_rates_its_modality(samples: Path, expert: str, item: str) -> None:
    row = evidence(samples, expert)[item]
    assert row["outcome"] == Outcome.RATED
    assert row["severity"] is not None
    if expert != "thresholds":
        assert sum(row["probabilities"]) == pytest.approx(1.0, abs=1e-3)
        assert len(row["features"]) > 0


def test_rain_is_no_speech_and_gets_no_rating(samples: Path) -> None:
    assert evidence(samples, "audio")["samples/rain.ogg"]["outcome"] == Outcome.ABSTAINED
    assert ratings(samples)["samples/rain.ogg"]["rating"] == UNRATED


def test_bloodshed_is_rated_above_a_picnic(samples: Path) -> None:
    found = ratings(samples)
    assert found["samples/slasher.txt"]["severity"] > found["samples/picnic.txt"]["severity"]
    assert found["samples/late-show.ogg"]["severity"] > found["samples/sunrise.mp4"]["severity"]


def test_the_demo_s_command_ends_with_the_exit_code_for_some_failures(tmp_path: Path) -> None:
    done = capitoline("rate", str(SAMPLES), "--out", str(tmp_path / "out"))
    assert done.returncode == 3, done.stderr
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["items"] == 11


def test_the_exit_code_is_0_only_if_all_is_rated_and_whole(tmp_path: Path) -> None:
    done = capitoline("rate", str(SAMPLES / "picnic.txt"), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such-folder"], "no-such-folder"),
        (["{samples}", "--columns", "nonsense"], "columns are given as"),
        (["{samples}", "--config", "{samples}/lake.json"], "not a valid configuration"),
        (["{samples}", "--where", "moon"], "moon"),
    ],
)
def test_a_usage_error_says_what_is_wrong_and_ends_with_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    filled = [one.format(samples=SAMPLES) for one in arguments]
    done = capitoline("rate", *filled, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_shows_the_transcript_with_its_times(samples: Path) -> None:
    done = capitoline("explain", str(samples), "late-show")
    assert done.returncode == 0
    assert "murder" in done.stdout
    assert "0:00" in done.stdout


def test_every_file_of_three_folders_is_accounted_for(clips: Path, data: Path) -> None:
    files = {
        f"{folder}/{path.name}"
        for folder in ("video_clips", "speech_clips", "esc10_sounds")
        for path in (data / folder).iterdir()
    }
    assert set(ratings(clips)) == files


def test_sounds_that_nobody_speaks_in_get_no_invented_transcript(clips: Path) -> None:
    sounds = {name: row for name, row in evidence(clips, "audio").items() if name.endswith(".ogg")}
    assert len(sounds) == 40
    assert {row["outcome"] for row in sounds.values()} == {Outcome.ABSTAINED}
    assert all(ratings(clips)[name]["rating"] == UNRATED for name in sounds)


def test_the_jfk_clip_is_heard(clips: Path) -> None:
    said = " ".join(span["text"] for span in evidence(clips, "audio")["speech_clips/jfk.flac"]["spans"])
    assert "ask not what your country can do for you" in said


def test_every_film_is_rated_by_the_video_expert(clips: Path) -> None:
    films = {name: row for name, row in evidence(clips, "video").items() if name.endswith((".mp4", ".mkv", ".mov"))}
    assert len(films) == 16
    assert {row["outcome"] for row in films.values()} == {Outcome.RATED}


def test_hostile_files_all_come_out_and_none_that_cannot_be_decoded_is_rated(corrupt: Path) -> None:
    found = ratings(corrupt)
    assert len(found) == 153
    failed = [row for row in found.values() if row["failed"]]
    assert len(failed) >= 60
    assert all(row["rating"] == UNRATED and row["review"] for row in failed)


@pytest.mark.parametrize("placement", ["fused", "split"])
def test_ray_gives_the_very_results_of_one_process(data: Path, tmp_path: Path, placement: str) -> None:
    manifest = tmp_path / "posters.jsonl"
    with gzip.open(data / "posters_mm.jsonl.gz", "rt", encoding="utf-8") as file:
        manifest.write_text("".join(itertools.islice(file, 40)), encoding="utf-8")
    request = Request(
        (str(manifest), str(SAMPLES)),
        tmp_path / "process",
        columns=Columns.parse("tags=genres,image=poster"),
        media=str(data / "posters_mm.zip"),
    )
    rate_request(request, Settings(running=Running(where="process", batch_items=8)))
    there = Request(request.paths, tmp_path / placement, columns=request.columns, media=request.media)
    running = Running.model_validate({"where": "ray", "placement": placement, "batch_items": 8})
    rate_request(there, Settings(running=running))
    assert without_seconds(request.out) == without_seconds(there.out)


def without_seconds(out: Path) -> list[Row]:
    tables = [*read_ratings(out), *read_evidence(out)]
    return [{**row, "seconds": None} for table in tables for row in table.to_pylist()]
