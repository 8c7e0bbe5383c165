from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from capitoline.configs.training import Training, load_configuration
from capitoline.modalities.networks.trunk import load_text_rater
from capitoline.modalities.weights import read_metadata, read_weights
from capitoline.pipelines.train import train
from capitoline.pipelines.training.loop import Loop, Numbers
from capitoline.pipelines.training.run_folder import RunFolder


def test_the_same_seed_gives_the_same_file(tiny: Path, tmp_path: Path) -> None:
    again = train(tiny / "tiny.yaml", tmp_path / "again", tiny)
    assert again.read_bytes() == (tiny / "run" / "tiny.safetensors").read_bytes()


def test_an_interrupted_run_ends_as_an_undisturbed_one(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Loop._step

    def interrupted(loop: Loop, chosen: Numbers, epoch: int, step: int) -> float:
        if (epoch, step) == (3, 5):
            raise KeyboardInterrupt
        return real(loop, chosen, epoch, step)

    often = tmp_path / "often.yaml"
    often.write_text((tiny / "tiny.yaml").read_text() + "checkpoint_minutes: 0\n")
    monkeypatch.setattr(Loop, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(often, tmp_path / "run", tiny)
    monkeypatch.undo()
    continued = train(often, tmp_path / "run", tiny)
    assert continued.read_bytes() == (tiny / "run" / "tiny.safetensors").read_bytes()
    assert _losses(tmp_path / "run") == _losses(tiny / "run")


def _losses(run: Path) -> list[tuple[float, float]]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(line["loss"], line["selection_loss"]) for line in lines]


def test_training_ends_when_the_selection_rows_gain_no_more(tiny: Path, tmp_path: Path) -> None:
    text = (tiny / "tiny.yaml").read_text().replace("epochs: 6", "epochs: 40").replace("rate: 1.0e-2", "rate: 3.0e-2")
    (tmp_path / "patient.yaml").write_text(text + "patience: 1\n")
    train(tmp_path / "patient.yaml", tmp_path / "run", tiny)
    losses = [selection for _, selection in _losses(tmp_path / "run")]
    assert len(losses) < 40
    assert losses[-1] >= min(losses[:-1])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("heads: {hate: {levels: [absent, present]}}", "no source teaches the head hate"),
        ("tuning: lora", "give `start:`"),
        ("start: nowhere", "no weights 'nowhere'"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(tiny: Path, tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "odd.yaml").write_text(f"{(tiny / 'tiny.yaml').read_text()}{line}\n")
    with pytest.raises(ValueError, match=problem):
        train(tmp_path / "odd.yaml", tmp_path / "run", tiny)


def test_another_configuration_does_not_continue_a_run(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "run", tmp_path / "run")
    (tmp_path / "other.yaml").write_text((tiny / "tiny.yaml").read_text() + "seed: 1\n")
    with pytest.raises(ValueError, match=r"holds a run of another configuration \(seed: 0, not 1\)"):
        train(tmp_path / "other.yaml", tmp_path / "run", tiny)


def test_what_differs_is_named_down_to_the_nested_setting(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "run", tmp_path / "run")
    settings = load_configuration(tiny / "tiny.yaml", Training)
    wider = settings.model_copy(update={"network": settings.network.model_copy(update={"dropout": 0.9})})
    with pytest.raises(ValueError, match=r"\(network\.dropout: [\d.]+, not 0\.9\)"):
        RunFolder(tmp_path / "run", wider)


def test_a_run_that_failed_before_its_first_step_claims_no_folder(tiny: Path, tmp_path: Path) -> None:
    settings = load_configuration(tiny / "tiny.yaml", Training)
    RunFolder(tmp_path, settings)
    RunFolder(tmp_path, settings.model_copy(update={"seed": 5}))
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 5


def test_a_small_net_learns_what_the_words_say(tiny: Path) -> None:
    figures = read_metadata(tiny / "run" / "tiny.safetensors")["validation"]
    assert all(one["kappa"] > 0.9 for one in figures.values())
    rater = load_text_rater(str(tiny / "run" / "tiny.safetensors"))
    assert rater(["scene 7: explicit scenes of sex", "scene 7: a kitten plays"]).severities.tolist() == [4, 0]


def test_a_run_leaves_what_is_needed_to_repeat_and_to_judge_it(tiny: Path) -> None:
    run = tiny / "run"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3, 4, 5]
    assert json.loads((run / "config.json").read_text())["seed"] == 0
    assert json.loads((run / "environment.json").read_text())["torch"] == torch.__version__
    assert "<polyline" in (run / "curves.svg").read_text()
    card = (run / "tiny.md").read_text()
    assert "ECE before | ECE after" in card
    assert "CC0" in card
    assert "rows (tags)" in card


def test_weights_are_shipped_in_half_precision(tiny: Path) -> None:
    tensors, _ = read_weights(tiny / "run" / "tiny.safetensors", "text")
    assert {one.dtype for name, one in tensors.items() if name != "vocabulary"} == {torch.bfloat16}
