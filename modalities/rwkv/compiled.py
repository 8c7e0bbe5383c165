"""The recurrence in C++ for a CPU, forward and backward, as operators that autograd and torch.compile know.

Legend: T = tokens, B = sequences, H = heads, N = 64.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from capitoline.modalities.rwkv.library import kernels

HEAD_SIZE = 64
"""The only head size the kernels are compiled for; the official models have no other."""
SYMBOLS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def compiled_time_mix(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Same arguments and results as `naive_time_mix`; computes in float32, reads bfloat16 where v is."""
    dtype = torch.bfloat16 if v.dtype == torch.bfloat16 else torch.float32
    inputs = [tensor.to(dtype) for tensor in (r, w, k, v, a, b)]
    y, _, after = _forward(*inputs, offsets, state.float())
    return y.to(r.dtype), after


def fits(r: Tensor, state: Tensor) -> bool:
    """Whether the kernels can take these tensors on this machine."""
    shape = r.device.type == "cpu" and r.shape[-1] == HEAD_SIZE and state.dtype == torch.float32
    return shape and kernels() is not None


def pointer(tensor: Tensor | None) -> ctypes.c_void_p | None:
    """Where a contiguous tensor begins; the caller keeps it alive."""
    if tensor is None:
        return None
    assert tensor.is_contiguous() and tensor.device.type == "cpu"
    return ctypes.c_void_p(tensor.data_ptr())


def call(name: str, *arguments: Tensor | int | None) -> None:
    """Call a kernel: tensors as pointers, integers as 64 bits, and the number of threads last."""
    library = kernels()
    assert library is not None
    converted = [ctypes.c_int64(one) if isinstance(one, int) else pointer(one) for one in arguments]
    getattr(library, name)(*converted, ctypes.c_int(torch.get_num_threads()))


@torch.library.custom_op("capitoline::time_mix", mutates_args=())
def _forward(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """y (T, H, N), the vectors S_{t-1} a_t (T, H, N) for the backward pass, and the state after."""
    inputs = [tensor.contiguous() for tensor in (r, w, k, v, a, b)]
    y, removed = torch.empty_like(inputs[0]), torch.empty(r.shape, dtype=torch.float32)
    before, after = state.contiguous(), torch.empty(state.shape)
    sizes = (offsets.numel() - 1, r.shape[1])
    call(f"time_mix_forward_{SYMBOLS[r.dtype]}", *sizes, offsets.contiguous(), *inputs, before, y, removed, after)
    return y, removed, after


@_forward.register_fake
def _(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return r.new_empty(r.shape), r.new_empty(r.shape, dtype=torch.float32), state.new_empty(state.shape)


@torch.library.custom_op("capitoline::time_mix_backward", mutates_args=())
def _backward(inputs: list[Tensor], removed: Tensor, to_y: Tensor, to_after: Tensor) -> list[Tensor]:
    """Gradients of r, w, k, v, a, b and the state before; `inputs` are those of the forward operator."""
    *vectors, offsets, before = (tensor.contiguous() for tensor in inputs)
    gradients = [torch.empty_like(tensor) for tensor in (*vectors, before)]
    sizes = (offsets.numel() - 1, vectors[0].shape[1])
    given = (before, removed, to_y.to(vectors[0].dtype).contiguous(), to_after.float().contiguous())
    call(f"time_mix_backward_{SYMBOLS[vectors[0].dtype]}", *sizes, offsets, *vectors, *given, *gradients)
    return gradients


@_backward.register_fake
def _(inputs: list[Tensor], removed: Tensor, to_y: Tensor, to_after: Tensor) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in (*inputs[:6], inputs[7])]


def _remember(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])


def _differentiate(ctx: Any, to_y: Tensor, _: Tensor, to_after: Tensor) -> tuple[Tensor | None, ...]:
    *inputs, removed = ctx.saved_tensors
    *gradients, to_before = _backward(inputs, removed, to_y, to_after)
    return (*gradients, None, to_before)


_forward.register_autograd(_differentiate, setup_context=_remember)
