# Kernels have no types, and a kernel's call is not that of its function.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, import-untyped"
# pyright: reportCallIssue=false, reportArgumentType=false
"""The recurrence on a CUDA device: one Triton program a sequence and head, its state in registers.

The forward pass keeps the state before every `CHUNK` tokens; the backward pass replays a chunk from there rather
than running the recurrence backwards, which divides by the decay and loses digits.

Legend: T = tokens, B = sequences, H = heads, N = head size.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from capitoline.modalities.rwkv.naive import DECAY_SCALE

CHUNK = 16
"""Tokens between two kept states."""
SCALE = tl.constexpr(DECAY_SCALE)


def triton_time_mix(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Same arguments and results as `naive_time_mix`; computes in float32. N must be a power of two."""
    y, after = _TritonTimeMix.apply(r, w, k, v, a, b, offsets.to(r.device), state.float())
    return y, after


class _TritonTimeMix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        *vectors, offsets, before = (tensor.contiguous() for tensor in inputs)
        heads, width = vectors[0].shape[1:]
        counts = (offsets.diff() + CHUNK - 1) // CHUNK
        first = (counts.cumsum(0) - counts).contiguous()
        # One more than there are tokens to a chunk: no need to ask the device how many chunks there are.
        room = vectors[0].shape[0] // CHUNK + len(counts)
        entries = before.new_empty(room, heads, width, width)
        y, after = torch.empty_like(vectors[3]), torch.empty_like(before)
        _forward[(len(counts) * heads,)](offsets, first, *vectors, before, y, entries, after, heads, width, CHUNK)
        ctx.save_for_backward(*vectors, offsets, first, entries)
        return y, after

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_y, to_after = (gradient.contiguous() for gradient in gradients)
        *vectors, offsets, first, entries = ctx.saved_tensors
        heads, width = vectors[0].shape[1:]
        programs = (len(offsets) - 1) * heads
        scratch = entries.new_empty(programs, CHUNK, width, width)
        found = [torch.empty_like(tensor) for tensor in vectors]
        to_before = torch.empty_like(to_after)
        given = (*vectors, entries, scratch, to_y, to_after)
        _backward[(programs,)](offsets, first, *given, *found, to_before, heads, width, CHUNK)
        return (*found, None, to_before)


@triton.jit
def _decay(w):
    return tl.exp(tl.sigmoid(w) * SCALE)


@triton.jit
def _advance(state, w, k, v, a, b):
    removed = tl.sum(state * a[None, :], 1)
    return state * _decay(w)[None, :] + removed[:, None] * b[None, :] + v[:, None] * k[None, :]


@triton.jit
def _forward(
    offsets, first, r, w, k, v, a, b, before, y, entries, after, heads, width: tl.constexpr, chunk: tl.constexpr
):
    pair = tl.program_id(0).to(tl.int64)
    sequence, head = pair // heads, pair % heads
    begin, end = tl.load(offsets + sequence), tl.load(offsets + sequence + 1)
    channel = tl.arange(0, width)
    cells = channel[:, None] * width + channel[None, :]
    state = tl.load(before + pair * width * width + cells)
    entry = tl.load(first + sequence)
    for token in range(begin, end):
        if (token - begin) % chunk == 0:
            kept = ((entry + (token - begin) // chunk) * heads + head) * width * width
            tl.store(entries + kept + cells, state)
        at = (token * heads + head) * width + channel
        w_now, k_now = tl.load(w + at).to(tl.float32), tl.load(k + at).to(tl.float32)
        v_now, a_now = tl.load(v + at).to(tl.float32), tl.load(a + at).to(tl.float32)
        state = _advance(state, w_now, k_now, v_now, a_now, tl.load(b + at).to(tl.float32))
        tl.store(y + at, tl.sum(state * tl.load(r + at).to(tl.float32)[None, :], 1).to(y.dtype.element_ty))
    tl.store(after + pair * width * width + cells, state)


@triton.jit
def _backward(
    offsets, first, r, w, k, v, a, b, entries, scratch, to_y, to_after,
    to_r, to_w, to_k, to_v, to_a, to_b, to_before, heads, width: tl.constexpr, chunk: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0).to(tl.int64)
    sequence, head = pair // heads, pair % heads
    begin, end = tl.load(offsets + sequence), tl.load(offsets + sequence + 1)
    channel = tl.arange(0, width)
    cells = channel[:, None] * width + channel[None, :]
    own = scratch + pair * chunk * width * width + cells
    slope = tl.load(to_after + pair * width * width + cells)
    entry = tl.load(first + sequence)
    chunks = (end - begin + chunk - 1) // chunk
    for back in range(0, chunks):
        index = chunks - 1 - back
        start = begin + index * chunk
        count = tl.minimum(end - start, chunk)
        state = tl.load(entries + ((entry + index) * heads + head) * width * width + cells)
        for step in range(0, count):
            tl.store(own + step * width * width, state)
            at = ((start + step) * heads + head) * width + channel
            w_now, k_now = tl.load(w + at).to(tl.float32), tl.load(k + at).to(tl.float32)
            v_now, a_now = tl.load(v + at).to(tl.float32), tl.load(a + at).to(tl.float32)
            state = _advance(state, w_now, k_now, v_now, a_now, tl.load(b + at).to(tl.float32))
        tl.debug_barrier()
        for undone in range(0, count):
            step = count - 1 - undone
            at = ((start + step) * heads + head) * width + channel
            old = tl.load(own + step * width * width)
            r_now, w_now = tl.load(r + at).to(tl.float32), tl.load(w + at).to(tl.float32)
            k_now, v_now = tl.load(k + at).to(tl.float32), tl.load(v + at).to(tl.float32)
            a_now, b_now = tl.load(a + at).to(tl.float32), tl.load(b + at).to(tl.float32)
            y_slope = tl.load(to_y + at).to(tl.float32)
            removed = tl.sum(old * a_now[None, :], 1)
            new = _advance(old, w_now, k_now, v_now, a_now, b_now)
            slope += y_slope[:, None] * r_now[None, :]
            to_removed = tl.sum(slope * b_now[None, :], 1)
            gate = tl.sigmoid(w_now)
            to_decay = tl.sum(slope * old, 0) * _decay(w_now) * SCALE * gate * (1 - gate)
            kind = to_r.dtype.element_ty
            tl.store(to_r + at, tl.sum(new * y_slope[:, None], 0).to(kind))
            tl.store(to_w + at, to_decay.to(to_w.dtype.element_ty))
            tl.store(to_k + at, tl.sum(slope * v_now[:, None], 0).to(kind))
            tl.store(to_v + at, tl.sum(slope * k_now[None, :], 1).to(kind))
            tl.store(to_a + at, tl.sum(old * to_removed[:, None], 0).to(to_a.dtype.element_ty))
            tl.store(to_b + at, tl.sum(slope * removed[:, None], 0).to(to_b.dtype.element_ty))
            slope = slope * _decay(w_now)[None, :] + to_removed[:, None] * a_now[None, :]
        tl.debug_barrier()
    tl.store(to_before + pair * width * width + cells, slope)
