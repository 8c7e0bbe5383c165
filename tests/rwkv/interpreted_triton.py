"""Compares the Triton operator with the naive one; run as a program under TRITON_INTERPRET=1, it needs no GPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from capitoline.modalities.rwkv.naive import naive_time_mix
from capitoline.modalities.rwkv.operator import Operator
from capitoline.modalities.rwkv.triton_operator import triton_time_mix

LENGTHS = [18, 0, 1, 33]
HEADS, HEAD_SIZE = 2, 64


def largest_error(device: str) -> float:
    """Over y, the state and all gradients, relative to the largest value of each."""
    torch.manual_seed(0)
    r, w, k, v, key, rate = torch.randn(6, sum(LENGTHS), HEADS, HEAD_SIZE, dtype=torch.float64)
    removal = functional.normalize(key, dim=-1)
    state = torch.randn(len(LENGTHS), HEADS, HEAD_SIZE, HEAD_SIZE, dtype=torch.float64)
    tensors = [r, 2 * w - 2, k, v, -removal, removal * torch.sigmoid(rate), state]
    exact = _run(naive_time_mix, tensors)
    found = _run(triton_time_mix, [tensor.float().to(device) for tensor in tensors])
    return max(
        float((ours.double().cpu() - theirs).abs().max() / theirs.abs().max())
        for ours, theirs in zip(found, exact, strict=True)
    )


def _run(operator: Operator, tensors: list[Tensor]) -> list[Tensor]:
    given = [tensor.clone().requires_grad_() for tensor in tensors]
    offsets = torch.tensor([0, *LENGTHS], device=given[0].device).cumsum(0)
    y, state = operator(*given[:6], offsets, given[6])  # type: ignore[call-arg]
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype, device=y.device).view(y.shape)
    torch.autograd.backward((y * weights).sum() + state.square().sum())
    return [y.detach(), state.detach(), *(tensor.grad for tensor in given if tensor.grad is not None)]


if __name__ == "__main__":
    error = largest_error("cpu")
    assert error < 2e-5, f"off by {error:.1e}"
    print(f"largest relative error {error:.1e}")
