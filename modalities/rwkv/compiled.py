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
CHUNK = 16
"""Tokens between the states that the backward pass starts from; the kernels have the same number."""
SYMBOLS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def compiled_time_mix(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Same arguments and results as `naive_time_mix`; computes in float32, reads bfloat16 where v is."""
    dtype = torch.bfloat16 if v.dtype == torch.bfloat16 else torch.float32
    inputs = [tensor.to(dtype) for tensor in (r, w, k, v, a, b)]
    y, after, _, _ = _forward(*inputs, offsets, state.float(), torch.is_grad_enabled())
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


def chunks(tokens: int, offsets: Tensor) -> int:
    """At most so many chunks do the sequences have: what the offsets say is not asked for."""
    return tokens // CHUNK + offsets.numel() - 1


@torch.library.custom_op("capitoline::time_mix", mutates_args=())
def _forward(
    r: Tensor,
    w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    offsets: Tensor,
    state: Tensor,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y (T, H, N), the state after, and for the backward pass S_{t-1} a_t (T, H, N) and the states before chunks."""
    inputs = [tensor.contiguous() for tensor in (r, w, k, v, a, b)]
    before, after, y = state.contiguous(), torch.empty(state.shape), torch.empty_like(inputs[0])
    tokens, heads, width = r.shape
    removed, entries = torch.empty(0), torch.empty(0)
    if keep:
        removed, entries = torch.empty(r.shape), torch.empty(chunks(tokens, offsets), heads, width, width)
    sizes = (offsets.numel() - 1, heads)
    found = (y, removed if keep else None, entries if keep else None, after)
    call(f"time_mix_forward_{SYMBOLS[r.dtype]}", *sizes, offsets.contiguous(), *inputs, before, *found)
    return y, after, removed, entries


@_forward.register_fake
def _(
    r: Tensor,
    w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    offsets: Tensor,
    state: Tensor,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y, after, (tokens, heads, width) = torch.empty_like(r), torch.empty_like(state), r.shape
    if not keep:
        return y, after, state.new_empty(0), state.new_empty(0)
    return y, after, state.new_empty(r.shape), state.new_empty(chunks(tokens, offsets), heads, width, width)


@torch.library.custom_op("capitoline::time_mix_backward", mutates_args=())
def _backward(inputs: list[Tensor], to_y: Tensor, to_after: Tensor) -> list[Tensor]:
    """Gradients of r, w, k, v, a, b and the state before; `inputs` are these six, the offsets and what was kept."""
    *vectors, offsets, removed, entries = (tensor.contiguous() for tensor in inputs)
    gradients = [torch.empty_like(tensor) for tensor in (*vectors, to_after)]
    sizes = (offsets.numel() - 1, vectors[0].shape[1])
    given = (removed, entries, to_y.to(vectors[0].dtype).contiguous(), to_after.float().contiguous())
    call(f"time_mix_backward_{SYMBOLS[vectors[0].dtype]}", *sizes, offsets, *vectors, *given, *gradients)
    return gradients


@_backward.register_fake
def _(inputs: list[Tensor], to_y: Tensor, to_after: Tensor) -> list[Tensor]:
    return [torch.empty_like(tensor) for tensor in (*inputs[:6], to_after)]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:7], *output[2:])


def _differentiate(ctx: Any, to_y: Tensor, to_after: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    *gradients, to_before = _backward(list(ctx.saved_tensors), to_y, to_after)
    return (*gradients, None, to_before, None)


_forward.register_autograd(_differentiate, setup_context=_remember)
