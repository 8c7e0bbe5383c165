"""Every operator equals the naive one in float64: outputs, states and all gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from capitoline.modalities.rwkv.chunked import chunked_time_mix
from capitoline.modalities.rwkv.compiled import compiled_time_mix
from capitoline.modalities.rwkv.naive import naive_time_mix
from capitoline.modalities.rwkv.operator import Operator

OPERATORS = {"chunked": chunked_time_mix, "compiled": compiled_time_mix}
HEADS, HEAD_SIZE = 2, 64
LENGTHS = [70, 1, 0, 33, 32]
NAMES = ("y", "state", "dr", "dw", "dk", "dv", "da", "db", "dstate")


def inputs(*, extreme: bool) -> list[Tensor]:
    """r, w, k, v, a, b and the initial state; the extreme ones forget and overwrite as hard as they can."""
    torch.manual_seed(1)
    shape = (sum(LENGTHS), HEADS, HEAD_SIZE)
    r, w, k, v, key, rate = (torch.randn(shape, dtype=torch.float64) for _ in range(6))
    if extreme:
        w, key, rate = 4 * w, key + 3, rate + 4
        w[::2], w[1::5] = 12, -12
    removal = functional.normalize(key, dim=-1)
    state = torch.randn(len(LENGTHS), HEADS, HEAD_SIZE, HEAD_SIZE, dtype=torch.float64) / 2
    return [r, 2 * w - 2, k, v, -removal, removal * torch.sigmoid(rate), state]


def run(operator: Operator, tensors: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """y, the state after, and the gradients of all inputs for random gradients of both."""
    given = [tensor.to(dtype) for tensor in tensors[:6]]
    given.append(tensors[6].to(torch.promote_types(dtype, torch.float32)))
    given = [tensor.clone().requires_grad_() for tensor in given]
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    y, state = operator(*given[:6], offsets, given[6])  # type: ignore[call-arg]
    torch.manual_seed(2)
    loss = (y * torch.randn(y.shape, dtype=torch.float64)).sum()
    loss = loss + (state * torch.randn(state.shape, dtype=torch.float64)).sum()
    torch.autograd.backward(loss)
    return [y.detach(), state.detach(), *(tensor.grad for tensor in given if tensor.grad is not None)]


@pytest.mark.parametrize("extreme", [False, True], ids=["usual", "extreme"])
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_equals_the_naive_recurrence_and_its_gradients(name: str, extreme: bool) -> None:
    tensors = inputs(extreme=extreme)
    exact = run(naive_time_mix, tensors, torch.float64)
    got = run(OPERATORS[name], tensors, torch.float32)
    for what, ours, theirs in zip(NAMES, got, exact, strict=True):
        error = (ours.double() - theirs).abs().max() / theirs.abs().max()
        assert error < 2e-5, f"{what} is off by {error:.1e} of its largest value"


def test_the_chunked_operator_is_exact_in_float64() -> None:
    tensors = inputs(extreme=False)
    for ours, theirs in zip(
        run(chunked_time_mix, tensors, torch.float64), run(naive_time_mix, tensors, torch.float64), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
