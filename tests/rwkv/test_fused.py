"""The operators of a fused layer equal what `model.py` says in PyTorch: outputs and all gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from capitoline.modalities.rwkv import library
from capitoline.modalities.rwkv.fused import gated_time_mix, mix, squared_relu
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.naive import naive_time_mix
from capitoline.modalities.rwkv.packing import Packing
from capitoline.modalities.rwkv.size import Size
from tests.rwkv.official import random_batch, random_model

WIDTH, HEADS = 128, 2
LENGTHS = [37, 1, 0, 16, 33]
OFFSETS = torch.tensor([0, *LENGTHS]).cumsum(0)
TOKENS = sum(LENGTHS)
SIZE = Size(50, WIDTH, 2)

pytestmark = pytest.mark.skipif(not library.operator_available(), reason="no compiled kernels here")

Function = Callable[..., Sequence[Tensor]]


def outcome(function: Function, inputs: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Outputs, and the gradients of the inputs for random gradients of the outputs."""
    given = [tensor.to(dtype).clone().requires_grad_() for tensor in inputs]
    outputs = function(*given)
    torch.manual_seed(2)
    total = sum((one * torch.randn(one.shape, dtype=torch.float64)).sum() for one in outputs)
    assert isinstance(total, Tensor)
    torch.autograd.backward(total)
    return [one.detach() for one in outputs] + [one.grad for one in given if one.grad is not None]


def assert_equal(fused: Function, plain: Function, inputs: list[Tensor]) -> None:
    exact = outcome(plain, inputs, torch.float64)
    found = outcome(fused, inputs, torch.float32)
    assert len(found) == len(exact)
    for index, (ours, theirs) in enumerate(zip(found, exact, strict=True)):
        error = (ours.double() - theirs).abs().max() / theirs.abs().max()
        assert error < 2e-5, f"result {index} is off by {error:.1e} of its largest value"


def random(*shapes: tuple[int, ...]) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("mixtures", [1, 6])
def test_the_sum_its_norm_and_the_token_shift(mixtures: int) -> None:
    packing = Packing.of(OFFSETS, TOKENS)
    whole, row, streams = (TOKENS, WIDTH), (WIDTH,), (len(LENGTHS), WIDTH)

    def fused(
        stream: Tensor, added: Tensor, weight: Tensor, bias: Tensor, ratios: Tensor, shift: Tensor
    ) -> list[Tensor]:
        total, mixed, last = mix(stream, added, weight, bias, ratios, OFFSETS, shift)
        return [total, last, *mixed]

    def plain(
        stream: Tensor, added: Tensor, weight: Tensor, bias: Tensor, ratios: Tensor, shift: Tensor
    ) -> list[Tensor]:
        total = stream + added
        now = functional.layer_norm(total, row, weight, bias)
        difference = packing.shift(now, shift) - now
        return [total, packing.last(now, shift), *(now + difference * ratio for ratio in ratios)]

    assert_equal(fused, plain, random(whole, whole, row, row, (mixtures, WIDTH), streams))


def split(x: Tensor) -> Tensor:
    return x.view(-1, HEADS, WIDTH // HEADS)


def plain_time_mix(vectors: Tensor, before: Tensor, *projected: Tensor) -> Sequence[Tensor]:
    """`TimeMix.forward` between its projections."""
    w0, a0, v0, k_k, k_a, r_k, weight, bias = vectors
    r, k, v, decay, rate, gate, *mixed_values = projected
    if mixed_values:
        value_gate, first_value = mixed_values
        v = v + (first_value - v) * torch.sigmoid(v0 + value_gate)
    rate, removal = torch.sigmoid(a0 + rate), functional.normalize(split(k * k_k), dim=-1)
    k = k * (1 + (rate - 1) * k_a)
    heads = (split(one) for one in (r, w0 + decay, k, v))
    y, after = naive_time_mix(*heads, -removal, removal * split(rate), OFFSETS, before)  # type: ignore[call-arg]
    bonus = split(r * k * r_k).sum(-1, keepdim=True) * split(v)
    return (functional.group_norm(y.flatten(1), HEADS, weight, bias, 64e-5) + bonus.flatten(1)) * gate, after


@pytest.mark.parametrize("first", [True, False], ids=["first layer", "others"])
def test_the_time_mix_between_its_projections(first: bool) -> None:
    def fused(vectors: Tensor, before: Tensor, *projected: Tensor) -> Sequence[Tensor]:
        value_gate, first_value = (None, None) if first else projected[6:]
        return gated_time_mix(projected[:6], value_gate, first_value, vectors, OFFSETS, before)

    state, matrices = (len(LENGTHS), HEADS, WIDTH // HEADS, WIDTH // HEADS), [(TOKENS, WIDTH)] * (6 if first else 8)
    assert_equal(fused, plain_time_mix, random((8, WIDTH), state, *matrices))


def test_the_squared_relu() -> None:
    assert_equal(lambda x: [squared_relu(x)], lambda x: [torch.relu(x) ** 2], random((TOKENS, 4 * WIDTH)))


@pytest.mark.parametrize("level", library.LEVELS)
def test_every_level_trains_as_pytorch_alone(level: int) -> None:
    if library.load_level(level) is None:
        pytest.skip(f"level {level} is not compiled, or this processor cannot run it")
    expected = trained(random_model(SIZE), ())
    for name, gradient in trained(random_model(SIZE), (level,)).items():
        error = (gradient - expected[name]).abs().max() / expected[name].abs().max()
        assert error < 1e-4, f"the gradient of {name} is off by {error:.1e} of its largest value"


def trained(model: RWKV7, levels: tuple[int, ...]) -> dict[str, Tensor]:
    """Gradients of the parameters, with the kernels of these levels only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "LEVELS", levels)
        hidden, _ = model(*random_batch(50, LENGTHS))
        torch.autograd.backward(hidden.square().mean())
    return {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


def test_an_inner_width_that_the_kernels_cannot_take_is_left_to_pytorch() -> None:
    model = random_model(Size(50, 64, 1, feed_forward=72))
    expected = trained(model, ())
    model.zero_grad()
    for name, gradient in trained(model, library.LEVELS).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)


def test_frozen_weights_get_no_gradient_and_change_none() -> None:
    whole, frozen = random_model(SIZE), random_model(SIZE)
    frozen.blocks[0].requires_grad_(False)
    everything, some = trained(whole, library.LEVELS), trained(frozen, library.LEVELS)
    assert set(some) == {name for name in everything if not name.startswith("blocks.0.")}
    for name, gradient in some.items():
        torch.testing.assert_close(gradient, everything[name])
