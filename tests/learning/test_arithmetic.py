"""The arithmetic of a training is a line of its configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from capitoline.modalities.networks.ordinal import HeadShape
from capitoline.modalities.networks.sequence import RatingNetwork, Shape, pack
from capitoline.modalities.rwkv import library
from capitoline.modalities.rwkv.fixed import available
from capitoline.modalities.weights import read_metadata
from capitoline.pipelines.train import train
from capitoline.pipelines.training.arithmetic import FULL, filled


def with_line(tiny: Path, tmp_path: Path, line: str) -> Path:
    path = tmp_path / "other.yaml"
    path.write_text(f"{(tiny / 'tiny.yaml').read_text()}{line}\n")
    return path


@pytest.mark.skipif(not available(), reason="no kernels in fixed point for this processor")
def test_a_small_net_learns_in_fixed_point_what_it_learns_in_float32(tiny: Path, tmp_path: Path) -> None:
    weights = train(with_line(tiny, tmp_path, "arithmetic: int16"), tmp_path / "run", tiny)
    assert weights.read_bytes() != (tiny / "run" / "tiny.safetensors").read_bytes()
    assert all(one["kappa"] > 0.9 for one in read_metadata(weights)["validation"].values())


def test_fixed_point_is_refused_where_the_processor_has_no_kernels_for_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "LEVELS", (1,))
    with pytest.raises(ValueError, match="AVX2"):
        train(with_line(tiny, tmp_path, "arithmetic: int16"), tmp_path / "run", tiny)


def test_another_model_is_not_trained_in_fixed_point(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RWKV-7's"):
        train(with_line(tiny, tmp_path, "arithmetic: int16\nmodel: lstm"), tmp_path / "run", tiny)


@pytest.mark.parametrize("length", [3, FULL, FULL + 1])
def test_what_fills_up_a_step_changes_nothing_of_the_other_sequences(length: int) -> None:
    torch.manual_seed(0)
    network = RatingNetwork(Shape(64, 1, 8, vocabulary=30), {"text": HeadShape(("PG", "R"))}).eval()
    sequences = [np.arange(length) % 30, np.array([1, 5])]
    full = filled(sequences, "bfloat16")
    assert sum(map(len, full)) % FULL == 0 and len(filled(sequences, "float32")) == 2
    with torch.no_grad():
        torch.testing.assert_close(network(*pack(full))[:2], network(*pack(sequences)))


def test_a_small_net_learns_in_bfloat16_what_it_learns_in_float32(tiny: Path, tmp_path: Path) -> None:
    weights = train(with_line(tiny, tmp_path, "arithmetic: bfloat16"), tmp_path / "run", tiny)
    assert all(one["kappa"] > 0.9 for one in read_metadata(weights)["validation"].values())
