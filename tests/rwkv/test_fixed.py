"""Training in 16-bit fixed point stays as near to float32 as its rounding allows."""

from __future__ import annotations

import gzip
import json
from itertools import islice, product
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from capitoline.modalities.rwkv.fixed import available, fixed_linear
from capitoline.modalities.rwkv.model import RWKV7, LinearProduct
from capitoline.modalities.rwkv.packing import pack
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.tokenizer import WorldTokenizer
from tests.rwkv.official import random_model
from tests.rwkv.test_training import gradients

pytestmark = pytest.mark.skipif(not available(), reason="no kernels in fixed point for this processor")

ROUNDING = 6e-4
"""Of a product of random numbers, by its size."""


def outcome(multiply: LinearProduct, x: Tensor, weight: Tensor, to_y: Tensor) -> list[Tensor]:
    """The product, and the gradients of both its sides."""
    given = [x.clone().requires_grad_(), weight.clone().requires_grad_()]
    y = multiply(*given)
    torch.autograd.backward(y, to_y)
    return [y.detach(), *(one.grad for one in given if one.grad is not None)]


def error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize(("tokens", "inputs", "outputs"), [*product([1, 2, 67, 512, 1_111], [64, 1_040], [16, 144])])
def test_a_product_and_its_gradients_are_those_of_float32_but_for_rounding(
    tokens: int, inputs: int, outputs: int
) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(tokens, inputs), torch.randn(outputs, inputs)
    to_y = torch.randn(tokens, outputs) * torch.randn(tokens, 1).exp()
    pairs = zip(outcome(fixed_linear, x, weight, to_y), outcome(functional.linear, x, weight, to_y), strict=True)
    assert all(error(found, exact) < ROUNDING for found, exact in pairs)


def test_the_largest_numbers_that_can_meet_do_not_overflow() -> None:
    x, weight = torch.full((1_500, 1_024), 3e5), torch.full((32, 1_024), -7e-6)
    to_y = torch.full((1_500, 32), 1e9)
    pairs = zip(outcome(fixed_linear, x, weight, to_y), outcome(functional.linear, x, weight, to_y), strict=True)
    assert all(error(found, exact) < 1e-3 for found, exact in pairs)


def test_no_tokens_and_sizes_that_the_kernels_cannot_take_are_right_too() -> None:
    for x, weight in ((torch.randn(0, 32), torch.randn(16, 32)), (torch.randn(9, 24), torch.randn(10, 24))):
        to_y = torch.randn(len(x), len(weight))
        pairs = zip(outcome(fixed_linear, x, weight, to_y), outcome(functional.linear, x, weight, to_y), strict=True)
        assert all(torch.equal(found, exact) for found, exact in pairs)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_does_not_pass_for_a_number(bad: float) -> None:
    x, weight, to_y = torch.randn(40, 32), torch.randn(16, 32), torch.randn(40, 16)
    x[3, 4] = bad
    y, _, to_weight = outcome(fixed_linear, x, weight, to_y)
    assert y.isfinite().all(1).tolist() == [row != 3 for row in range(40)]
    assert not to_weight.isfinite().any()
    x[3, 4], to_y[5, 6] = 0.0, bad
    _, to_x, to_weight = outcome(fixed_linear, x, weight, to_y)
    assert to_x.isfinite().all(1).tolist() == [row != 5 for row in range(40)]
    assert to_weight.isfinite().all(1).tolist() == [row != 6 for row in range(16)]


def test_gradients_of_everything_stay_near_those_of_float32() -> None:
    size = Size(50, 128, 2)
    exact, model = gradients(random_model(size)), random_model(size)
    model.multiply_with(fixed_linear)
    found = gradients(model)
    assert set(found) == set(exact)
    errors = {name: error(one, exact[name]) for name, one in found.items()}
    assert max(errors.values()) < 5e-3, errors


def test_gradient_checkpointing_changes_no_gradient_and_frozen_weights_get_none() -> None:
    model = random_model(Size(50, 128, 2))
    model.multiply_with(fixed_linear)
    plain = gradients(model)
    model.gradient_checkpointing = True
    model.blocks[0].requires_grad_(False)
    some = gradients(model)
    assert set(some) == {name for name in plain if not name.startswith("blocks.0.")}
    for name, gradient in some.items():
        torch.testing.assert_close(gradient, plain[name])


@pytest.mark.slow
def test_a_training_on_real_texts_follows_the_losses_of_float32(data: Path) -> None:
    exact, found = losses(functional.linear, data), losses(fixed_linear, data)
    assert (found - exact)[:10].abs().max() < 0.05 * exact[0]
    # Rounding grows from step to step; products in bfloat16 stray as far.
    assert (found - exact).abs().mean() < 0.1 * exact.mean()
    assert abs(found.mean() / exact.mean() - 1) < 0.02


def losses(multiply: LinearProduct, data: Path) -> Tensor:
    """Of 40 steps that learn to tell the classes of davidson's texts, from scratch."""
    with gzip.open(data / "davidson.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, 640)]
    tokens, classes = WorldTokenizer(), sorted({row["label"] for row in rows})
    torch.manual_seed(0)
    model, head = RWKV7(Size(65_536, 128, 2)), torch.nn.Linear(128, len(classes))
    model.multiply_with(multiply)
    optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], 1e-3, (0.9, 0.99), 1e-18)
    rising = torch.optim.lr_scheduler.LinearLR(optimiser, 0.05, total_iters=20)
    found = []
    for step in range(40):
        batch = rows[16 * step : 16 * step + 16]
        ids, offsets = pack([tokens.encode(row["text"]) for row in batch])
        logits = head(model(ids, offsets)[0][offsets[1:] - 1])
        loss = functional.cross_entropy(logits, torch.tensor([classes.index(row["label"]) for row in batch]))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rising.step()
        found.append(loss.item())
    return torch.tensor(found)
