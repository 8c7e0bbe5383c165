"""The arithmetic of a training is a line of its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from capitoline.modalities.rwkv import library
from capitoline.modalities.rwkv.fixed import available
from capitoline.modalities.weights import read_metadata
from capitoline.pipelines.train import train


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
