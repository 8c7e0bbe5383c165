"""The model equals the `rwkv` package and a float64 recurrence, in every way of feeding it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from capitoline.modalities.rwkv.checkpoint import load_model, write_tensors
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.naive import naive_time_mix
from capitoline.modalities.rwkv.size import Size
from tests.rwkv.official import random_batch, random_checkpoint

SIZES = {
    "2x128": Size(300, 128, 2),
    "4x256": Size(1_000, 256, 4),
    "12x768": Size(2_000, 768, 12),
}
LENGTHS = [40, 1, 9, 23]


@pytest.fixture(scope="module", params=[*list(SIZES)[:2], pytest.param("12x768", marks=pytest.mark.slow)])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("official") / "model.pth"
    write_tensors(path, random_checkpoint(SIZES[request.param]))
    return path


def reference(path: Path) -> Any:
    """The package's model. It reads its settings from the environment when it is first imported."""
    os.environ.update(RWKV_V7_ON="1", RWKV_JIT_ON="0", RWKV_CUDA_ON="0")
    from rwkv.model import RWKV

    return RWKV(model=str(path.with_suffix("")), strategy="cpu fp32")


def logits(model: RWKV7, hidden: Tensor) -> Tensor:
    assert model.head is not None
    found: Tensor = model.head(hidden)
    return found


def batch(model: RWKV7) -> tuple[Tensor, Tensor]:
    return random_batch(model.size.vocabulary, LENGTHS)


@torch.no_grad()
def test_logits_and_states_of_a_ragged_batch_equal_the_rwkv_package(checkpoint: Path) -> None:
    package, model = reference(checkpoint), load_model(checkpoint)
    ids, offsets = batch(model)
    hidden, state = model(ids, offsets)
    ours = logits(model, hidden)
    for stream, sequence in enumerate(ids.tensor_split(offsets[1:-1])):
        theirs, after = package.forward(sequence.tolist(), None, full_output=True)
        span = slice(int(offsets[stream]), int(offsets[stream + 1]))
        torch.testing.assert_close(ours[span], theirs.view(-1, ours.shape[1]), atol=1e-4, rtol=0)
        for layer in range(model.size.layers):
            time_shift, channel_shift, wkv = (one[stream] for one in state.layer(layer))
            torch.testing.assert_close(wkv, after[3 * layer + 1], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(time_shift, after[3 * layer], atol=1e-4, rtol=0)
            torch.testing.assert_close(channel_shift, after[3 * layer + 2], atol=1e-4, rtol=0)


@torch.no_grad()
def test_logits_step_by_step_equal_the_rwkv_package_step_by_step(checkpoint: Path) -> None:
    package, model = reference(checkpoint), load_model(checkpoint)
    ids, _ = batch(model)
    one = torch.tensor([0, 1])
    state, theirs_state = None, None
    for token in ids[:12]:
        hidden, state = model(token[None], one, state)
        theirs, theirs_state = package.forward([int(token)], theirs_state)
        torch.testing.assert_close(logits(model, hidden)[0], theirs, atol=1e-4, rtol=0)


@torch.no_grad()
def test_hidden_vectors_equal_the_naive_recurrence_in_float64(checkpoint: Path) -> None:
    model, literal = load_model(checkpoint), load_model(checkpoint).double()
    for block in literal.layers:
        block.att.operator = naive_time_mix
    ids, offsets = batch(model)
    hidden, state = model(ids, offsets)
    exact, exact_state = literal(ids, offsets)
    assert exact.dtype == exact_state.wkv.dtype == torch.float64
    torch.testing.assert_close(hidden.double(), exact, atol=5e-5, rtol=0)
    torch.testing.assert_close(state.wkv.double(), exact_state.wkv, atol=1e-4, rtol=1e-4)
