"""Whatever the processor, the kernels that it can run give the same results."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from capitoline.modalities.rwkv import library
from capitoline.modalities.rwkv.compiled import compiled_time_mix
from capitoline.modalities.rwkv.engine import Engine
from capitoline.modalities.rwkv.naive import naive_time_mix
from capitoline.modalities.rwkv.operator import choose
from capitoline.modalities.rwkv.size import Size
from tests.rwkv.official import random_batch, random_model
from tests.rwkv.test_operator import NAMES, inputs, run


def test_where_one_level_was_compiled_so_were_all() -> None:
    if library.library_path(1) is None:
        pytest.skip(library.operator_status())
    wanted = library.LEVELS if platform.machine() in ("x86_64", "AMD64") else (1,)
    assert all(library.library_path(level) for level in wanted)


@pytest.mark.parametrize("level", library.LEVELS)
def test_the_kernels_of_every_level_are_right(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if library.load_level(level) is None:
        pytest.skip(f"level {level} is not compiled, or this processor cannot run it")
    monkeypatch.setattr(library, "LEVELS", (level,))
    tensors = inputs(extreme=False)
    for name, ours, theirs in zip(
        NAMES, run(compiled_time_mix, tensors, torch.float32), run(naive_time_mix, tensors, torch.float64), strict=True
    ):
        error = (ours.double() - theirs).abs().max() / theirs.abs().max()
        assert error < 2e-5, f"{name} is off by {error:.1e} of its largest value"
    model = random_model(Size(50, 128, 2))
    ids, offsets = random_batch(50, [30, 2])
    with torch.no_grad():
        expected, _ = model(ids, offsets)
    torch.testing.assert_close(Engine(model, torch.float32).hidden(ids, offsets)[0], expected, atol=2e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("level", [level for level in library.LEVELS if 1 < level < library.LEVELS[0]])
def test_what_lesser_processors_run_is_right_too(level: int) -> None:
    if library.load_level(level) is None:
        pytest.skip(f"level {level} is not compiled, or this processor cannot run it")
    here = Path(__file__).parent
    promises = [str(here / f"test_{name}.py") for name in ("engine", "fixed", "forward")]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *promises],
        env=os.environ | {"CAPITOLINE_KERNEL_LEVEL": str(level)}, cwd=here.parents[1], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-3_000:]


def test_a_level_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPITOLINE_KERNEL_LEVEL", "avx2")
    with pytest.raises(ValueError, match="must be one of 6, 5, 4, 3, 1"):
        library.kernels()


def test_every_command_refuses_such_a_level_before_it_writes(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "capitoline.pipelines.cli", "rate", str(tmp_path), "--out", str(tmp_path / "out")],
        env=os.environ | {"CAPITOLINE_KERNEL_LEVEL": "7"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 2 and "must be one of" in found.stderr
    assert not (tmp_path / "out").exists()


def test_without_kernels_pytorch_does_it_and_the_status_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(Size(50, 64, 1))
    ids, offsets = random_batch(50, [20])
    with torch.no_grad():
        expected, _ = model(ids, offsets)
        monkeypatch.setattr(library, "LEVELS", ())
        assert not library.operator_available()
        found, _ = Engine(model).hidden(ids, offsets)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    r = torch.zeros(1, 1, 64)
    assert choose(r, torch.zeros(1, 1, 64, 64)) is not compiled_time_mix
    monkeypatch.setattr(library, "library_path", lambda level: None)
    assert "install a C++ compiler" in library.operator_status()


def test_bfloat16_inputs_are_computed_in_float32() -> None:
    if not library.operator_available():
        pytest.skip(library.operator_status())
    *vectors, state = [tensor.bfloat16() for tensor in inputs(extreme=False)]
    offsets = torch.tensor([0, vectors[0].shape[0]])
    y, after = compiled_time_mix(*vectors, offsets, state[:1].float())  # type: ignore[call-arg]
    exact, exact_after = naive_time_mix(*vectors, offsets, state[:1].double())  # type: ignore[call-arg]
    torch.testing.assert_close(after.double(), exact_after, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(y, exact, atol=0.02, rtol=0.02)
