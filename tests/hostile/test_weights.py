"""Weights whose training failed, or that were damaged since, rate nothing."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from capitoline.modalities.networks.rater import SequenceRater
from capitoline.modalities.weights import find_weights, read_weights, write_weights

SHIPPED = find_weights("text")
SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def damaged(name: str, value: float, path: Path) -> Path:
    """The shipped weights of texts with the last value of one tensor replaced."""
    tensors, metadata = read_weights(SHIPPED, "text")
    tensors[name] = tensors[name].float().clone()
    tensors[name].view(-1)[-1] = value
    write_weights(path, tensors, metadata)
    return path


def rate(weights: Path, where: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A job over a harmless text and an explicit one, by the text expert alone."""
    config = folder / "settings.yaml"
    config.write_text(yaml.safe_dump({"experts": [{"kind": "text", "weights": str(weights)}]}), encoding="utf-8")
    items = [str(SAMPLES / name) for name in ("picnic.txt", "slasher.txt")]
    options = ["--config", str(config), "--out", str(folder / "out"), "--jsonl", "--where", where]
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "rate", *items, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["body.blocks.0.att.v0", "body.blocks.1.ffn.key.weight", "body.emb.weight"])
def test_weights_with_values_that_are_no_numbers_are_refused_by_name(name: str, value: float, tmp_path: Path) -> None:
    path = damaged(name, value, tmp_path / "text.safetensors")
    with pytest.raises(ValueError, match=f"{path}: {name} holds values that are no numbers"):
        SequenceRater(path, "text")


def test_what_overflows_is_no_rating(tmp_path: Path) -> None:
    rater = SequenceRater(damaged("body.blocks.0.ln1.weight", 1e38, tmp_path / "text.safetensors"), "text")
    with pytest.raises(FloatingPointError, match="computes values that are no numbers"):
        rater([np.arange(1, 30)], next(iter(rater.heads)))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["process", "ray"])
def test_a_job_refuses_them_before_it_has_a_folder(where: str, tmp_path: Path) -> None:
    done = rate(damaged("body.blocks.0.att.v0", math.nan, tmp_path / "text.safetensors"), where, tmp_path)
    assert done.returncode == 2
    assert "holds values that are no numbers" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_job_in_which_they_overflow_rates_nothing(tmp_path: Path) -> None:
    done = rate(damaged("body.blocks.0.ln1.weight", 1e38, tmp_path / "text.safetensors"), "process", tmp_path)
    assert done.returncode == 3, done.stderr
    rows = [json.loads(line) for path in (tmp_path / "out").rglob("*.jsonl") for line in path.open(encoding="utf-8")]
    assert [row["rating"] for row in rows] == ["UNRATED", "UNRATED"]
