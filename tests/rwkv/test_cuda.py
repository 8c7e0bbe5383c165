"""The CUDA path: its operator by Triton's interpreter anywhere, and all of it where there is a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from capitoline.modalities.rwkv.size import Size
from tests.rwkv.official import random_batch, random_model

INTERPRETED = Path(__file__).with_name("interpreted_triton.py")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("triton"), reason="Triton is not installed")
def test_the_triton_operator_equals_the_naive_recurrence_in_the_interpreter() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1"}  # read when Triton is imported, so in a process of its own
    done = subprocess.run([sys.executable, INTERPRETED], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@gpu
def test_the_triton_operator_equals_the_naive_recurrence_on_the_gpu() -> None:
    from tests.rwkv.interpreted_triton import largest_error

    assert largest_error("cuda") < 2e-5


@gpu
def test_a_model_on_the_gpu_equals_the_same_on_the_cpu() -> None:
    model = random_model(Size(500, 128, 2))
    ids, offsets = random_batch(500, [70, 1, 0, 40])
    with torch.no_grad():
        expected, state = model(ids, offsets)
        hidden, after = model.cuda()(ids.cuda(), offsets.cuda())
    torch.testing.assert_close(hidden.cpu(), expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.wkv.cpu(), state.wkv, atol=1e-3, rtol=0)
