"""A layer in training, fused: what stands between its matrix products, in C++, forward and backward.

`model.py` says the same word for word and is what these operators must equal. Products stay PyTorch's, so LoRA,
frozen weights, autocast and gradient checkpointing need nothing of their own here.

Legend: T = tokens, B = sequences, C = width, H = heads, N = 64, M = mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from capitoline.modalities.rwkv.compiled import SYMBOLS, call, chunks, fits

LANES = 16
"""Floats that the kernels take at once, at most."""


def fusible(stream: Tensor, state: Tensor, feed_forward: int) -> bool:
    """Whether the kernels can take this stream (T, C), state (B, H, N, N) and inner width on this machine."""
    return stream.dtype == torch.float32 and feed_forward % LANES == 0 and fits(stream[:, : state.shape[-1]], state)


def mix(
    stream: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, ratios: Tensor, offsets: Tensor, shift: Tensor
) -> tuple[Tensor, list[Tensor], Tensor]:
    """The residual sum, its layer norm and the token shift.

    Args:
        stream: (T, C).
        added: (T, C), what the layer before adds; None: the stream is complete.
        weight, bias: (C,) of the norm.
        ratios: (M, C), what each mixture takes of the token before.
        shift: (B, C), the normed token before each sequence.

    Returns:
        the sum (T, C), M mixtures (T, C) in the type of autocast, and the last normed token of each sequence (B, C).
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    like = added if added is not None else stream.new_empty(0, dtype=dtype)
    total, last, _, mixed = _mix(stream, like.to(dtype), weight, bias, ratios, offsets, shift)
    return total, mixed, last


def gated_time_mix(
    projected: Sequence[Tensor], value_gate: Tensor | None, first_value: Tensor | None, vectors: Tensor,
    offsets: Tensor, state: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The time mix between its projections.

    Args:
        projected: r, k, v, decay, rate and gate, (T, C) each, before their biases.
        value_gate, first_value: (T, C); None in the first layer.
        vectors: (8, C): w0, a0, v0, k_k, k_a, r_k and the group norm's weight and bias.
        state: (B, H, N, N) before each sequence.

    Returns:
        what the output projection takes (T, C), and the state after each sequence.
    """
    given = [*projected] if first_value is None or value_gate is None else [*projected, value_gate, first_value]
    given = [tensor.to(projected[0].dtype) for tensor in given]
    out, after, _, _, _ = _gated(given, vectors, offsets, state)
    return out, after


def _addresses(tensors: Sequence[Tensor]) -> Tensor:
    """Where the tensors begin, for a kernel that takes a list of them."""
    assert all(tensor.is_contiguous() for tensor in tensors)
    return torch.tensor([tensor.data_ptr() for tensor in tensors], dtype=torch.int64)


@torch.library.custom_op("capitoline::mix", mutates_args=())
def _mix(
    stream: Tensor, added: Tensor, weight: Tensor, bias: Tensor, ratios: Tensor, offsets: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """The sum (T, C), the last tokens (B, C), statistics of the norm (T, 2), the mixtures; nothing to add if empty."""
    stream, added, shift = stream.contiguous(), added.contiguous(), shift.contiguous()
    total, last, statistics = torch.empty_like(stream), torch.empty_like(shift), stream.new_empty(len(stream), 2)
    mixed = [torch.empty(stream.shape, dtype=added.dtype) for _ in ratios]
    sizes = (offsets.numel() - 1, stream.shape[1], len(ratios))
    given = (offsets, stream, added if added.numel() else None, weight, bias, ratios, shift)
    call(f"mix_forward_{SYMBOLS[added.dtype]}", *sizes, *given, total, statistics, last, _addresses(mixed))
    return total, last, statistics, mixed


@_mix.register_fake
def _(
    stream: Tensor, added: Tensor, weight: Tensor, bias: Tensor, ratios: Tensor, offsets: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    mixed = [torch.empty_like(stream, dtype=added.dtype) for _ in range(ratios.shape[0])]
    return torch.empty_like(stream), torch.empty_like(shift), stream.new_empty(len(stream), 2), mixed


@torch.library.custom_op("capitoline::mix_backward", mutates_args=())
def _mix_backward(
    kept: list[Tensor], to_total: Tensor, to_last: Tensor | None, to_mixed: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the sum (T, C), of the token before (B, C), and of ratios, weight and bias (M + 2, C)."""
    total, statistics, weight, bias, ratios, offsets, shift = (tensor.contiguous() for tensor in kept)
    to_total, to_mixed = to_total.contiguous(), [one.contiguous() for one in to_mixed]
    to_x, to_shift = torch.empty_like(total), torch.empty_like(shift)
    sums = torch.zeros(torch.get_num_threads(), len(ratios) + 2, total.shape[1])
    sizes = (offsets.numel() - 1, total.shape[1], len(ratios))
    given = (offsets, total, statistics, weight, bias, ratios, shift, _addresses(to_mixed), to_total)
    last = None if to_last is None else to_last.contiguous()
    call(f"mix_backward_{SYMBOLS[to_mixed[0].dtype]}", *sizes, *given, last, to_x, to_shift, sums)
    return to_x, to_shift, sums.sum(0)


@_mix_backward.register_fake
def _(
    kept: list[Tensor], to_total: Tensor, to_last: Tensor | None, to_mixed: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    total, shift = kept[0], kept[6]
    return torch.empty_like(total), torch.empty_like(shift), total.new_empty(len(to_mixed) + 2, total.shape[1])


def _remember_mix(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor, Tensor, list[Tensor]]) -> None:
    _, added, weight, bias, ratios, offsets, shift = inputs
    total, _, statistics, _ = output
    ctx.set_materialize_grads(False)
    ctx.added = added.dtype if added.numel() else None
    ctx.save_for_backward(total, statistics, weight, bias, ratios, offsets, shift)


def _differentiate_mix(
    ctx: Any, to_total: Tensor | None, to_last: Tensor | None, _: Tensor, to_mixed: list[Tensor | None]
) -> tuple[Tensor | None, ...]:
    kept = list(ctx.saved_tensors)
    total = kept[0]
    dtype = ctx.added or next((one.dtype for one in to_mixed if one is not None), total.dtype)
    arriving = [torch.zeros_like(total, dtype=dtype) if one is None else one.to(dtype) for one in to_mixed]
    to_total = torch.zeros_like(total) if to_total is None else to_total
    to_x, to_shift, sums = _mix_backward(kept, to_total, to_last, arriving)
    to_added = None if ctx.added is None else to_x.to(ctx.added)
    return to_x, to_added, sums[-2], sums[-1], sums[:-2], None, to_shift


_mix.register_autograd(_differentiate_mix, setup_context=_remember_mix)


@torch.library.custom_op("capitoline::gated_time_mix", mutates_args=())
def _gated(
    projected: list[Tensor], vectors: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What the output projection takes (T, C), the state after, and for the backward pass y, S_{t-1} a_t, entries."""
    given = [tensor.contiguous() for tensor in projected]
    out, after = torch.empty_like(given[0]), torch.empty_like(state)
    kept = torch.empty(out.shape), torch.empty(out.shape), _entries(out, offsets, state)
    sizes = (offsets.numel() - 1, state.shape[1])
    call(
        f"gated_forward_{SYMBOLS[out.dtype]}",
        *sizes,
        offsets,
        *_eight(given),
        vectors,
        state.contiguous(),
        out,
        *kept,
        after,
    )
    return out, after, *kept


def _entries(out: Tensor, offsets: Tensor, state: Tensor) -> Tensor:
    return state.new_empty(chunks(out.shape[0], offsets), *state.shape[1:])


def _eight(projected: list[Tensor]) -> list[Tensor | None]:
    """The first layer has no value gate and no first value."""
    return [*projected, *[None] * (8 - len(projected))]


@_gated.register_fake
def _(
    projected: list[Tensor], vectors: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    out = torch.empty_like(projected[0])
    whole = torch.empty_like(out, dtype=torch.float32)
    return out, torch.empty_like(state), whole, torch.empty_like(whole), _entries(out, offsets, state)


@torch.library.custom_op("capitoline::gated_time_mix_backward", mutates_args=())
def _gated_backward(kept: list[Tensor], to_out: Tensor, to_after: Tensor | None) -> list[Tensor]:
    """Gradients of the projections, (T, C) each, of the vectors (8, C) and of the state before."""
    vectors, offsets, y, removed, entries, *projected = (tensor.contiguous() for tensor in kept)
    found, sequences = [torch.empty_like(one) for one in projected], offsets.numel() - 1
    to_vectors, to_before = torch.zeros(sequences, *vectors.shape), _states_like(entries, sequences)
    after = None if to_after is None else to_after.contiguous()
    given = (*_eight(projected), vectors, y, removed, entries, to_out.contiguous(), after)
    sizes = (sequences, entries.shape[1])
    name = f"gated_backward_{SYMBOLS[projected[0].dtype]}"
    call(name, *sizes, offsets, *given, *_eight(found), to_vectors, to_before)
    return [*found, to_vectors.sum(0), to_before]


@_gated_backward.register_fake
def _(kept: list[Tensor], to_out: Tensor, to_after: Tensor | None) -> list[Tensor]:
    to_before = _states_like(kept[4], kept[1].numel() - 1)
    return [*(torch.empty_like(one) for one in (*kept[5:], kept[0])), to_before]


def _states_like(entries: Tensor, sequences: int) -> Tensor:
    return entries.new_empty(sequences, *entries.shape[1:])


def _remember_gated(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    projected, vectors, offsets, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(vectors, offsets, *output[2:], *projected)


def _differentiate_gated(
    ctx: Any, to_out: Tensor | None, to_after: Tensor | None, *_: Tensor | None
) -> tuple[list[Tensor] | Tensor | None, ...]:
    kept = list(ctx.saved_tensors)
    to_out = torch.zeros_like(kept[5]) if to_out is None else to_out
    *to_projected, to_vectors, to_before = _gated_backward(kept, to_out, to_after)
    return to_projected, to_vectors, None, to_before


_gated.register_autograd(_differentiate_gated, setup_context=_remember_gated)


def squared_relu(x: Tensor) -> Tensor:
    """relu(x)², with one tensor kept instead of three."""
    result: Tensor = _squared_relu(x)
    return result


@torch.library.custom_op("capitoline::squared_relu", mutates_args=())
def _squared_relu(x: Tensor) -> Tensor:
    return _square(x, None)


@_squared_relu.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("capitoline::squared_relu_backward", mutates_args=())
def _squared_relu_backward(x: Tensor, to_y: Tensor) -> Tensor:
    return _square(x, to_y.contiguous())


@_squared_relu_backward.register_fake
def _(x: Tensor, to_y: Tensor) -> Tensor:
    return torch.empty_like(x)


def _square(x: Tensor, to_y: Tensor | None) -> Tensor:
    x = x.contiguous()
    out = torch.empty_like(x)
    call(f"squared_relu_{SYMBOLS[x.dtype]}", x.numel(), x, to_y, out)
    return out


_squared_relu.register_autograd(
    lambda ctx, to_y: _squared_relu_backward(ctx.saved_tensors[0], to_y),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)
