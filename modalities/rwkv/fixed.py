"""Matrix products of training in 16-bit fixed point, forward and backward, for processors with AVX2 and no bfloat16.

What autocast to bfloat16 is elsewhere, and rounded less: by 2·10⁻⁴ to 5·10⁻⁴ of a product's size (bfloat16: 2·10⁻³).
`functional.linear` is the twin in float32.

Legend: T = tokens, I = inputs, O = outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from capitoline.modalities.rwkv import whole_layers
from capitoline.modalities.rwkv.compiled import call
from capitoline.modalities.rwkv.whole_layers import STEP, Kind

FIXED = torch.int16


def available() -> bool:
    """Whether there are kernels for this processor: for AVX2 without AVX-512, which knows better."""
    return whole_layers.available(Kind.FIXED)


def fixed_linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (T, I) times weight (O, I)', as `functional.linear`: (T, O) float32. Sizes that do not fit stay in float32."""
    if weight.shape[0] % STEP or weight.shape[1] % STEP or x.dtype != torch.float32:
        return functional.linear(x, weight)
    y: Tensor = _linear(x, weight)[0]
    return y


def pack(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The right side of a product with a weight (O, I), as the kernels read it: integers of its size, scales (O,)."""
    weight = weight.detach().contiguous()
    packed, scales = torch.empty(weight.shape, dtype=FIXED), torch.empty(len(weight))
    call("fixed_pack", *weight.shape, weight, packed, scales)
    return packed, scales


def _quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """The left side of a product: integers (T, I) and scales (T,)."""
    x = x.contiguous()
    whole, scales = torch.empty(x.shape, dtype=FIXED), torch.empty(len(x))
    call("fixed_quantise", *x.shape, x, whole, scales)
    return whole, scales


def _multiply(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Tensor:
    (rows, inputs), outputs = left[0].shape, len(right[0])
    out = torch.empty(rows, outputs)
    call("fixed_multiply", rows, inputs, outputs, *left, *right, out)
    return out


@torch.library.custom_op("capitoline::fixed_linear", mutates_args=())
def _linear(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y (T, O), and for the backward pass x in integers and its scales."""
    whole, scales = _quantise(x)
    return _multiply((whole, scales), pack(weight)), whole, scales


@_linear.register_fake
def _(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(len(x), len(weight)), torch.empty_like(x, dtype=FIXED), x.new_empty(len(x))


@torch.library.custom_op("capitoline::fixed_linear_to_x", mutates_args=())
def _to_x(to_y: Tensor, weight: Tensor) -> Tensor:
    """The gradient of x (T, I)."""
    return _multiply(_quantise(to_y), pack(weight.t()))


@_to_x.register_fake
def _(to_y: Tensor, weight: Tensor) -> Tensor:
    return to_y.new_empty(len(to_y), weight.shape[1])


@torch.library.custom_op("capitoline::fixed_linear_to_weight", mutates_args=())
def _to_weight(to_y: Tensor, whole: Tensor, scales: Tensor) -> Tensor:
    """The gradient of the weight (O, I)."""
    to_y = to_y.contiguous()
    (tokens, outputs), inputs = to_y.shape, whole.shape[1]
    out = torch.empty(outputs, inputs) if tokens else torch.zeros(outputs, inputs)
    call("fixed_weight_gradient", tokens, outputs, inputs, to_y, whole, scales, out)
    return out


@_to_weight.register_fake
def _(to_y: Tensor, whole: Tensor, scales: Tensor) -> Tensor:
    return to_y.new_empty(to_y.shape[1], whole.shape[1])


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[1], *output[1:])


def _differentiate(ctx: Any, to_y: Tensor, *_: Tensor) -> tuple[Tensor | None, Tensor | None]:
    weight, whole, scales = ctx.saved_tensors
    for_x, for_weight = ctx.needs_input_grad
    return _to_x(to_y, weight) if for_x else None, _to_weight(to_y, whole, scales) if for_weight else None


_linear.register_autograd(_differentiate, setup_context=_remember)
