"""A job keeps its promises through kills, changes of configuration and full disks. Real media, real processes."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from capitoline.configs.settings import Running, Settings, ThresholdsExpert, VoterSettings, load_settings
from capitoline.modalities.schema import UNRATED
from capitoline.pipelines import rate, rate_request
from capitoline.pipelines.job import Request
from capitoline.pipelines.lock import locked
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.store import read_evidence, read_ratings

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
POSTERS = 120
LIGHT = Settings(
    experts=(ThresholdsExpert(),),
    running=Running(where="process", shard_items=16, batch_items=8),
)
"""One expert that is quick to load, and shards small enough that a kill falls between them."""

Row = dict[str, Any]


@pytest.fixture(scope="module")
def posters(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of the first posters, whose pictures lie in a zip elsewhere."""
    manifest = tmp_path_factory.mktemp("posters") / "posters.jsonl"
    with gzip.open(data / "posters_mm.jsonl.gz", "rt", encoding="utf-8") as file:
        manifest.write_text("".join(itertools.islice(file, POSTERS)), encoding="utf-8")
    return manifest


@pytest.fixture(scope="module")
def request_for(data: Path, posters: Path) -> Callable[[Path], Request]:
    columns = Columns.parse("tags=genres,image=poster")
    return lambda out: Request((str(posters),), out, columns=columns, media=str(data / "posters_mm.zip"))


@pytest.fixture(scope="module")
def undisturbed(request_for: Callable[[Path], Request], tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    out = tmp_path_factory.mktemp("undisturbed")
    rate_request(request_for(out), LIGHT)
    return results(out)


def results(out: Path) -> list[Row]:
    """Ratings and evidence in the manifest's order, without what may differ from run to run: the seconds."""
    tables = [*read_ratings(out), *read_evidence(out)]
    rows = [row for table in tables for row in table.to_pylist()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def start(request: Request, config: Path, *more: str) -> subprocess.Popen[bytes]:
    """The same job from the command line, in a process group of its own."""
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "rate", *request.paths, "--out", str(request.out)]
    columns = ["--columns", "tags=genres,image=poster", "--media", request.media, "--config", str(config)]
    return subprocess.Popen([*command, *columns, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "light.yaml"
    path.write_text(json.dumps(LIGHT.model_dump(mode="json")), encoding="utf-8")  # JSON is YAML
    return path


def wait_for_shards(out: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while len(list((out / "ratings").glob("part-*.parquet"))) < count:
        assert process.poll() is None, f"the job ended before {count} shards were there: {process.communicate()}"
        assert time.monotonic() < deadline, "the job commits nothing"
        time.sleep(0.02)


def test_every_item_comes_out_once_in_order(undisturbed: list[Row], posters: Path) -> None:
    ids = [json.loads(line)["id"] for line in posters.read_text(encoding="utf-8").splitlines()]
    assert [row["item_id"] for row in undisturbed if "rating" in row] == ids


def test_the_same_command_again_rates_nothing_twice(
    request_for: Callable[[Path], Request], undisturbed: list[Row], tmp_path: Path
) -> None:
    request = request_for(tmp_path / "out")
    first = rate_request(request, LIGHT)
    written = {path: path.stat().st_mtime_ns for path in request.out.rglob("part-*.parquet")}
    again = rate_request(request, LIGHT)
    assert {path: path.stat().st_mtime_ns for path in request.out.rglob("part-*.parquet")} == written
    assert (again.items, again.by_rating) == (first.items, first.by_rating)
    assert results(request.out) == undisturbed


@pytest.mark.slow
def test_a_killed_driver_continues_where_it_was_and_ends_with_the_same_results(
    request_for: Callable[[Path], Request], undisturbed: list[Row], config: Path, tmp_path: Path
) -> None:
    request = request_for(tmp_path / "out")
    driver = start(request, config)
    wait_for_shards(request.out, 3, driver)
    driver.kill()
    driver.communicate()
    done = len(list((request.out / "ratings").glob("part-*.parquet")))
    assert 3 <= done < POSTERS // 16
    rate_request(request, LIGHT)
    assert results(request.out) == undisturbed


@pytest.mark.slow
def test_a_killed_driver_on_ray_continues_too(
    request_for: Callable[[Path], Request], undisturbed: list[Row], config: Path, tmp_path: Path
) -> None:
    request = request_for(tmp_path / "out")
    driver = start(request, config, "--where", "ray")
    wait_for_shards(request.out, 2, driver)
    driver.kill()
    driver.communicate()
    finished = start(request, config, "--where", "ray")
    output, errors = finished.communicate(timeout=240)
    assert finished.returncode == 0, (output, errors)
    assert results(request.out) == undisturbed


@pytest.mark.slow
def test_a_killed_lane_is_replaced_and_nothing_is_lost(
    request_for: Callable[[Path], Request], undisturbed: list[Row], config: Path, tmp_path: Path
) -> None:
    request = request_for(tmp_path / "out")
    driver = start(request, config, "--where", "ray")
    wait_for_shards(request.out, 1, driver)
    family = psutil.Process(driver.pid).children(recursive=True)
    lanes = [one for one in family if "ray::LaneActor" in " ".join(one.cmdline())]
    assert lanes, "no lane to kill"
    lanes[0].send_signal(signal.SIGKILL)
    output, errors = driver.communicate(timeout=240)
    assert driver.returncode == 0, (output, errors)
    assert results(request.out) == undisturbed


@pytest.mark.slow
def test_a_full_disk_stops_the_job_with_a_word_and_it_continues_when_there_is_room(
    request_for: Callable[[Path], Request], undisturbed: list[Row], config: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands in for the disk: writing fails with an OSError all the same."""
    request = request_for(tmp_path / "out")
    driver = start(request, config)
    wait_for_shards(request.out, 1, driver)
    resource.prlimit(driver.pid, resource.RLIMIT_FSIZE, (64, 64))
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 1
    assert b"run the same command to continue" in errors
    assert not list(request.out.rglob("*.tmp"))
    rate_request(request, LIGHT)
    assert results(request.out) == undisturbed


def test_another_configuration_is_refused_and_the_difference_named(
    request_for: Callable[[Path], Request], tmp_path: Path
) -> None:
    request = request_for(tmp_path / "out")
    rate_request(request, LIGHT)
    other = LIGHT.model_copy(update={"decider": VoterSettings(rule="upper_median")})
    with pytest.raises(ValueError, match=r'settings\.decider\.rule: "majority" → "upper_median"'):
        rate_request(request, other)


def test_another_input_is_refused(request_for: Callable[[Path], Request], posters: Path, tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    rate_request(request, LIGHT)
    fewer = tmp_path / posters.name
    fewer.write_text("".join(posters.read_text(encoding="utf-8").splitlines(keepends=True)[:50]), encoding="utf-8")
    with pytest.raises(ValueError, match=f"items: {POSTERS} → 50"):
        rate_request(Request((str(fewer),), request.out, columns=request.columns, media=request.media), LIGHT)


def test_how_the_graph_runs_may_change_between_runs(request_for: Callable[[Path], Request], tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    rate_request(request, LIGHT)
    rate_request(request, LIGHT.model_copy(update={"running": Running(where="process", shard_items=16, batch_items=3)}))


def test_a_second_driver_on_one_output_is_refused(request_for: Callable[[Path], Request], tmp_path: Path) -> None:
    request = request_for(tmp_path)
    with locked(tmp_path), pytest.raises(ValueError, match="another job is writing"):
        rate_request(request, LIGHT)


def test_errors_are_rated_again_only_when_asked(tmp_path: Path) -> None:
    """A network folder that gave zeros the first time: the same names and sizes, so the same job."""
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    whole = (SAMPLES / "lake.jpg").read_bytes()
    (folder / "good.jpg").write_bytes(whole)
    (folder / "late.jpg").write_bytes(bytes(len(whole)))
    assert rate(str(folder), out, LIGHT).failed == 1
    before = results(out)
    (folder / "late.jpg").write_bytes(whole)
    assert rate(str(folder), out, LIGHT).failed == 1
    again = rate_request(Request((str(folder),), out, retry_errors=True), LIGHT)
    assert (again.items, again.failed) == (2, 0)
    assert [row for row in results(out) if "good" in row["item_id"]] == [
        row for row in before if "good" in row["item_id"]
    ]


def test_a_changed_input_is_named(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes((SAMPLES / "lake.jpg").read_bytes())
    rate(str(folder), out, LIGHT)
    (folder / "b.jpg").write_bytes((SAMPLES / "warning-sign.png").read_bytes())
    with pytest.raises(ValueError, match=r"another size: pictures/b\.jpg"):
        rate(str(folder), out, LIGHT)


def test_a_file_changed_to_the_same_size_is_named_and_one_that_was_only_touched_is_not_rated_again(
    tmp_path: Path,
) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes((SAMPLES / "lake.jpg").read_bytes())
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(SAMPLES / "lake.jpg", "c.jpg")
    rate(str(folder), out, LIGHT)
    before = results(out)
    for path in folder.iterdir():
        path.touch()
    assert rate(str(folder), out, LIGHT).items_per_second == 0
    assert results(out) == before
    times = (folder / "b.jpg").stat()
    (folder / "b.jpg").write_bytes((SAMPLES / "lake.jpg").read_bytes()[::-1])
    os.utime(folder / "b.jpg", ns=(times.st_atime_ns, 0))  # as a copy that keeps an old time does
    with pytest.raises(ValueError, match=r"changed since, to the same size: pictures/b\.jpg …"):
        rate(str(folder), out, LIGHT)
    assert results(out) == before


def test_a_member_changed_to_the_same_size_is_named(tmp_path: Path) -> None:
    for text in (b"A quiet day at the lake.", b"A brutal day at a grave."):
        with zipfile.ZipFile(tmp_path / "texts.zip", "w") as archive:
            archive.writestr("same.txt", "It stays as it is.")
            archive.writestr("other.txt", text)
        if text.startswith(b"A quiet"):
            rate(str(tmp_path / "texts.zip"), tmp_path / "out", LIGHT)
    with pytest.raises(ValueError, match=r"to the same size: texts\.zip/other\.txt …"):
        rate(str(tmp_path / "texts.zip"), tmp_path / "out", LIGHT)


def test_results_among_the_input_are_not_rated(tmp_path: Path) -> None:
    (tmp_path / "lake.jpg").write_bytes((SAMPLES / "lake.jpg").read_bytes())
    first = rate(str(tmp_path), tmp_path / "results", LIGHT)
    assert (first.items, rate(str(tmp_path), tmp_path / "results", LIGHT).items) == (1, 1)


def test_a_refused_job_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no"):
        rate(str(tmp_path / "nothing"), tmp_path / "out", LIGHT)
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        rate(str(SAMPLES), tmp_path / "file", LIGHT)


def test_nothing_to_rate_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="nothing to rate"):
        rate(str(tmp_path / "empty"), tmp_path / "out", LIGHT)


def test_ratings_come_as_json_lines_on_request(request_for: Callable[[Path], Request], tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    rate_request(request, LIGHT, jsonl=True)
    rows = [json.loads(line) for line in (request.out / "ratings.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == POSTERS
    assert rows[0]["metadata"]["title"]
    assert {row["rating"] for row in rows} <= {*LIGHT.scale, UNRATED}


def test_the_default_settings_are_what_the_command_prints(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "capitoline.pipelines.cli", "settings"], check=True, stdout=-1
    ).stdout
    (tmp_path / "printed.yaml").write_bytes(printed)
    assert load_settings(tmp_path / "printed.yaml") == Settings()
