"""A replay decides as rating anew would, item by item, and looks at nothing again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from capitoline.configs.settings import (
    DeciderSettings,
    MeanSettings,
    Review,
    Settings,
    TagsExpert,
    TextExpert,
    ThresholdsExpert,
    VoterSettings,
)
from capitoline.modalities.schema import UNRATED
from capitoline.pipelines import rate, rate_request
from capitoline.pipelines.explain import explain
from capitoline.pipelines.fingerprint import advice_on_weights, read_fingerprint
from capitoline.pipelines.job import Request, claim
from capitoline.pipelines.moves import count_moves, pairs_of
from capitoline.pipelines.replay import replay
from capitoline.pipelines.store import read_ratings

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

DECIDERS: dict[str, DeciderSettings] = {
    "upper median": VoterSettings(rule="upper_median", review=Review(disagreement=1)),
    "most severe": VoterSettings(rule="most_severe", review=Review(labels=("R",))),
    "weighted": VoterSettings(rule="weighted", weights={"tags": 2.5}),
    "mean": MeanSettings(review=Review(margin=0.2)),
}


@pytest.fixture(scope="module")
def posters(posters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first of them: their pictures are looked at for each decider anew."""
    lines = posters.read_text(encoding="utf-8").splitlines(keepends=True)[:24]
    manifest = tmp_path_factory.mktemp("few") / posters.name
    manifest.write_text("".join(lines), encoding="utf-8")
    return manifest


@pytest.fixture(scope="module")
def settings(light: Settings) -> Settings:
    """With the tagger, which looks at the pictures and the films."""
    return light.model_copy(update={"experts": (TextExpert(), TagsExpert(), ThresholdsExpert())})


@pytest.fixture(scope="module")
def job(
    posters: Path,
    request_for: Callable[[Path, Path], Request],
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    out = tmp_path_factory.mktemp("job")
    rate_request(request_for(posters, out), settings)
    return out


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A broken picture, a broken film, sounds that no expert hears."""
    folder = tmp_path_factory.mktemp("hard")
    for name in ("broken.jpg", "rain.ogg", "late-show.ogg", "slasher.txt", "lake.jpg", "lake.txt", "picnic.txt"):
        shutil.copy(SAMPLES / name, folder / name)
    (folder / "cut.mp4").write_bytes((SAMPLES / "sunrise.mp4").read_bytes()[:4_000])
    return folder


@pytest.fixture(scope="module")
def samples(hard: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples")
    rate(str(hard), out, settings)
    return out


def rows(out: Path) -> list[dict[str, Any]]:
    """The ratings, without the time they took."""
    found = [row for table in read_ratings(out) for row in table.to_pylist()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", DECIDERS)
def test_a_replay_equals_rating_anew(
    name: str,
    job: Path,
    samples: Path,
    hard: Path,
    posters: Path,
    request_for: Callable[[Path, Path], Request],
    settings: Settings,
    tmp_path: Path,
) -> None:
    other = settings.model_copy(update={"decider": DECIDERS[name], "shadow": MeanSettings()})
    rate_request(request_for(posters, tmp_path / "posters anew"), other)
    rate(str(hard), tmp_path / "samples anew", other)
    for results, anew in ((job, tmp_path / "posters anew"), (samples, tmp_path / "samples anew")):
        replayed = replay(results, other, tmp_path / f"{anew.name} replayed")
        assert rows(tmp_path / f"{anew.name} replayed") == rows(anew)
        before = {row["item_id"]: row["rating"] for row in rows(results)}
        after = {row["item_id"]: row["rating"] for row in rows(anew)}
        assert [(one.item_id, one.before, one.after) for one in replayed.moved] == [
            (item, before[item], after[item]) for item in before if before[item] != after[item]
        ]
        assert replayed.moves.moved == len(replayed.moved)
    assert UNRATED in {row["rating"] for row in rows(samples)}


def test_an_expert_may_be_left_out(
    job: Path, posters: Path, request_for: Callable[[Path, Path], Request], settings: Settings, tmp_path: Path
) -> None:
    fewer = settings.model_copy(update={"experts": (TagsExpert(), TextExpert())})
    rate_request(request_for(posters, tmp_path / "anew"), fewer)
    replay(job, fewer, tmp_path / "replayed")
    assert rows(tmp_path / "replayed") == rows(tmp_path / "anew")


def test_evidence_that_the_job_does_not_have_is_refused(job: Path, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"weights\.image: null → "):
        replay(job, Settings())
    other = settings.model_copy(update={"decoding": settings.decoding.model_copy(update={"picture_side": 128})})
    with pytest.raises(ValueError, match=r"settings\.decoding\.picture_side: 352 → 128"):
        replay(job, other)
    with pytest.raises(ValueError, match="no results"):
        replay(tmp_path, settings)


def test_an_upgrade_of_weights_is_said_to_be_one(job: Path, settings: Settings, tmp_path: Path) -> None:
    made = read_fingerprint(job)
    assert made is not None
    earlier = replace(made, version="0.0.9", weights={**made.weights, "tags": "0" * 32})
    shutil.copytree(job, tmp_path / "earlier")
    earlier.write(tmp_path / "earlier")
    with pytest.raises(ValueError, match=r"weights\.tags: \"0{32}\" → ") as refused:
        replay(tmp_path / "earlier", settings)
    assert "capitoline 0.0.9 made these results with other weights of tags than" in str(refused.value)
    with pytest.raises(ValueError, match="version") as other:
        claim(tmp_path / "earlier", made, lambda: [])
    assert "install that version again, or give their files in `weights:`" in str(other.value)


def test_weights_that_the_configuration_changed_are_no_upgrade(job: Path) -> None:
    made = read_fingerprint(job)
    assert made is not None
    experts = [{**one, "weights": "mine"} if one["name"] == "tags" else one for one in made.settings["experts"]]
    asked = replace(made, weights={**made.weights, "tags": "0" * 32}, settings={**made.settings, "experts": experts})
    assert advice_on_weights(made, asked) == []


def test_a_replay_is_not_written_over_a_job(job: Path, settings: Settings) -> None:
    with pytest.raises(ValueError, match="holds a job of its own"):
        replay(job, settings, job)


def test_the_command_says_who_moves_and_looks_at_no_media(job: Path, settings: Settings, tmp_path: Path) -> None:
    changed = settings.model_copy(update={"decider": VoterSettings(rule="most_severe")})
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(changed.model_dump(mode="json")), encoding="utf-8")
    command = ["replay", str(job), "--config", str(tmp_path / "new.yaml"), "--out", str(tmp_path / "out")]
    program = (
        "import sys; from capitoline.pipelines.cli import app; app(standalone_mode=False);"
        "heavy = {'torch', 'ray', 'av', 'cv2', 'onnxruntime', 'timm'} & sys.modules.keys(); assert not heavy, heavy"
    )
    ran = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    moves = [json.loads(line) for line in (tmp_path / "out" / "moves.jsonl").read_text("utf-8").splitlines()]
    assert f"{len(moves)} of 24 items would move: {len(moves)} more severe" in ran.stdout
    assert moves[0]["item_id"] in ran.stdout


def test_a_shadow_decides_beside_and_changes_nothing(
    job: Path, posters: Path, request_for: Callable[[Path, Path], Request], settings: Settings, tmp_path: Path
) -> None:
    shadowed = settings.model_copy(update={"shadow": VoterSettings(rule="most_severe")})
    summary = rate_request(request_for(posters, tmp_path / "out"), shadowed)
    assert [without_shadow(row) for row in rows(tmp_path / "out")] == [without_shadow(row) for row in rows(job)]
    replay(job, settings.model_copy(update={"decider": VoterSettings(rule="most_severe")}), tmp_path / "alone")
    assert [row["shadow_rating"] for row in rows(tmp_path / "out")] == [
        row["rating"] for row in rows(tmp_path / "alone")
    ]
    assert summary.shadow is not None
    assert summary.shadow.stricter == summary.shadow.moved > 0
    assert summary.shadow.sentence() in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "shadow" not in (job / "report.html").read_text(encoding="utf-8").lower()


def without_shadow(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("shadow")}


def test_moves_are_told_apart_by_their_way() -> None:
    """A scale whose names sort the other way: nothing compares labels."""
    labels = ("Z", "M", "A")
    before, after = ["Z", "M", "A", "A", UNRATED, "Z"], ["A", "Z", "A", UNRATED, "M", None]
    moves = count_moves(labels, pairs_of(before, after))
    assert (moves.items, moves.moved, moves.stricter, moves.milder, moves.withheld, moves.given) == (5, 4, 1, 1, 1, 1)
    assert moves.sentence() == ("4 of 5 items would move: 1 milder, 1 more severe, 1 to UNRATED, 1 from UNRATED")


def test_ratings_of_a_replay_have_the_columns_of_a_job(job: Path, settings: Settings, tmp_path: Path) -> None:
    replay(job, settings, tmp_path)
    (part,) = (tmp_path / "ratings").iterdir()
    assert pq.read_schema(part).equals(pq.read_schema(job / "ratings" / part.name))
    assert (tmp_path / "moves.jsonl").read_text(encoding="utf-8") == ""
    with pytest.raises(ValueError, match="explain the job that was replayed"):
        explain(tmp_path, "any")
