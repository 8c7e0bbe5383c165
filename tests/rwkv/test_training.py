"""Gradients reach everything that can be trained, whichever operator runs and however memory is saved."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from capitoline.modalities.rwkv.engine import Engine
from capitoline.modalities.rwkv.lora import adapt, merge
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.naive import naive_time_mix
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.state import State
from tests.rwkv.official import random_batch, random_model

SIZE = Size(50, 128, 2)
LENGTHS = [5, 0, 1, 18]


def gradients(model: RWKV7) -> dict[str, Tensor]:
    """Of a loss that reads hidden vectors and final states, by parameter, and of the vectors and states put in."""
    dtype = model.ln_out.weight.dtype
    torch.manual_seed(3)
    inputs = torch.randn(sum(LENGTHS), model.size.width, dtype=torch.float64).to(dtype).requires_grad_()
    state = State(*(torch.randn(f.shape, dtype=torch.float64).to(dtype) for f in State.zeros(model.size, 4).tensors))
    for field in state.tensors:
        field.requires_grad_()
    hidden, after = model(inputs, torch.tensor([0, *LENGTHS]).cumsum(0), state)
    loss = (hidden * torch.randn(hidden.shape, dtype=torch.float64)).mean()
    model.zero_grad()
    torch.autograd.backward(loss + sum((field**2).mean() for field in after.tensors))
    named = {name: one.grad for name, one in model.named_parameters()}
    named |= {"inputs": inputs.grad} | {f"state {i}": field.grad for i, field in enumerate(state.tensors)}
    return {name: one.clone() for name, one in named.items() if one is not None}


@pytest.mark.parametrize("head_size", [64, 32])
def test_gradients_of_parameters_inputs_and_state_equal_the_naive_twin(head_size: int) -> None:
    """The kernels are compiled for heads of 64; others train through the chunked operator."""
    size = Size(50, 128, 2, head_size=head_size)
    model, naive = random_model(size), random_model(size).double()
    for block in naive.layers:
        block.att.operator = naive_time_mix
    ours, exact = gradients(model), gradients(naive)
    everything = {name for name, _ in model.named_parameters()} - {"emb.weight"}
    assert set(ours) == set(exact) == everything | {"inputs", "state 0", "state 1", "state 2"}
    for name, expected in exact.items():
        error = (ours[name].double() - expected).abs().max() / expected.abs().max()
        assert error < 1e-4, f"the gradient of {name} is off by {error:.1e} of its largest value"


def test_gradient_checkpointing_changes_no_gradient() -> None:
    model = random_model(SIZE)
    plain = gradients(model)
    model.gradient_checkpointing = True
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, plain[name], atol=1e-6, rtol=1e-5)


def test_bfloat16_autocast_stays_near_float32() -> None:
    model = random_model(SIZE)
    ids, offsets = random_batch(50, LENGTHS)
    exact, _ = model(ids, offsets)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, state = model(ids, offsets)
    torch.autograd.backward(rounded.float().mean())
    assert state.wkv.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.01
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_an_adapter_changes_nothing_at_first_and_all_of_the_output_once_merged() -> None:
    model = random_model(SIZE)
    names = set(model.state_dict())
    ids, offsets = random_batch(50, LENGTHS)
    before = model(ids, offsets)[0].detach()
    trainable = adapt(model, rank=4, alpha=8)
    assert torch.equal(model(ids, offsets)[0], before)
    assert {id(one) for one in model.parameters() if one.requires_grad} == {id(one) for one in trainable}
    optimiser = torch.optim.SGD(trainable, lr=1.0)
    torch.autograd.backward(model(ids, offsets)[0].square().mean())
    optimiser.step()
    adapted = model(ids, offsets)[0].detach()
    merge(model)
    assert set(model.state_dict()) == names
    assert not torch.allclose(adapted, before, atol=1e-3)
    torch.testing.assert_close(model(ids, offsets)[0], adapted, atol=1e-5, rtol=0)
    torch.testing.assert_close(Engine(model, torch.float32).hidden(ids, offsets)[0], adapted, atol=2e-5, rtol=0)


def test_a_model_is_adapted_once() -> None:
    model = random_model(SIZE)
    adapt(model, rank=2, alpha=2)
    with pytest.raises(ValueError, match="merge"):
        adapt(model, rank=2, alpha=2)
