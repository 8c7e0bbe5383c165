"""The RWKV-7 recurrence, word for word: what every faster operator must equal.

With w the raw decay, per head (arXiv:2503.14456, equations 17 to 19):

    d_t = exp(-exp(-1/2) · sigmoid(w_t))                      in (0.5453, 1)
    S_t = S_{t-1} diag(d_t) + (S_{t-1} a_t) b_tᵀ + v_t k_tᵀ
    y_t = S_t r_t

Legend: T = tokens, B = sequences, H = heads, N = head size; S is (N values, N keys).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DECAY_SCALE = -math.exp(-0.5)
"""The logarithm of the strongest decay a token can cause."""


def naive_time_mix(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One step a token, in the dtype of `state`; differentiable.

    Args:
        r, w, k, v, a, b: (T, H, N), sequences end to end.
        offsets: (B+1,) where each sequence begins; the last is T.
        state: (B, H, N, N) before each sequence.

    Returns:
        y (T, H, N) in the dtype of r, and the state (B, H, N, N) after each sequence.
    """
    precise = [tensor.to(state.dtype) for tensor in (r, w, k, v, a, b)]
    outputs, states = [], []
    for sequence, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        current = state[sequence]
        for token in range(start, end):
            current, output = _step(current, *(tensor[token] for tensor in precise))
            outputs.append(output)
        states.append(current)
    y = torch.stack(outputs) if outputs else torch.zeros_like(precise[0])
    return y.to(r.dtype), torch.stack(states)


def _step(state: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    decay = torch.exp(DECAY_SCALE * torch.sigmoid(w))
    removed = (state @ a[:, :, None]) * b[:, None, :]
    state = state * decay[:, None, :] + removed + v[:, :, None] * k[:, None, :]
    return state, (state @ r[:, :, None]).squeeze(-1)
