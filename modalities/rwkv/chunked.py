"""The recurrence in chunks of tokens, as matrix products: differentiable PyTorch on any device.

Within a chunk, with c the cumulative log decay and c' the same without the token itself,

    a~ = a e^c'   r~ = r e^c   b~ = b e^-c   k~ = k e^-c
    u  = (I - strict(a~ b~ᵀ))⁻¹ (a~ S₀ᵀ + strict(a~ k~ᵀ) v)
    y  = r~ S₀ᵀ + lower(r~ b~ᵀ) u + lower(r~ k~ᵀ) v

which is linear in the chunk's first state S₀, so all of it but a short scan over chunks
is batched (arXiv:2406.06484 for the delta rule, 2503.14456 for RWKV-7). The decay is at
least exp(-0.6065), so e^-c stays below e^20 over 32 tokens and cannot overflow.

Legend: T = tokens, B = sequences, H = heads, N = head size, M = chunks, L = tokens a chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from capitoline.modalities.rwkv.naive import DECAY_SCALE

CHUNK = 32
"""Tokens a chunk; 16 to 64 cost about the same."""


def chunked_time_mix(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, offsets: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Same arguments and results as `naive_time_mix`."""
    chunks = _Chunks.of(offsets)
    decay = DECAY_SCALE * torch.sigmoid(w.to(state.dtype))
    precise = [chunks.gather(tensor.to(state.dtype)) for tensor in (r, decay, k, v, a, b)]
    local = _local(*precise)
    entry, final = _scan(local, chunks, state)
    y = local.output + local.reading @ entry
    return chunks.scatter(y).to(r.dtype), final.transpose(-1, -2)


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Which tokens each chunk holds; a sequence's last chunk may be short."""

    tokens: Tensor
    """(M, L) index of each token, 0 beyond a sequence's end."""
    used: Tensor
    """(M, L) bool."""
    waves: list[tuple[Tensor, Tensor]]
    """For step i of the scan: the sequences that have an i-th chunk, and those chunks."""

    @staticmethod
    def of(offsets: Tensor) -> _Chunks:
        counts = (offsets.diff() + CHUNK - 1) // CHUNK
        first = counts.cumsum(0) - counts
        owner = torch.repeat_interleave(torch.arange(counts.numel(), device=offsets.device), counts)
        rank = torch.arange(owner.numel(), device=offsets.device) - first[owner]
        tokens = (offsets[owner] + rank * CHUNK)[:, None] + torch.arange(CHUNK, device=offsets.device)
        used = tokens < offsets[owner + 1][:, None]
        waves = []
        for step in range(int(counts.max())):
            sequences = torch.nonzero(counts > step).squeeze(1)
            waves.append((sequences, first[sequences] + step))
        return _Chunks(tokens.masked_fill(~used, 0), used, waves)

    def gather(self, flat: Tensor) -> Tensor:
        """(T, H, N) to (M, H, L, N); zeros beyond a sequence's end leave the state as it is."""
        return (flat[self.tokens] * self.used[:, :, None, None]).transpose(1, 2)

    def scatter(self, chunked: Tensor) -> Tensor:
        """(M, H, L, N) to (T, H, N)."""
        return chunked.transpose(1, 2)[self.used]


@dataclass(frozen=True, slots=True)
class _Local:
    """What a chunk does to a transposed state S₀ᵀ (N keys, N values), all (M, H, ·, N)."""

    reading: Tensor
    """(…, L, N): y gains reading · S₀ᵀ."""
    output: Tensor
    """(…, L, N): y for S₀ = 0."""
    transition: Tensor
    """(…, N, N): S₁ᵀ = transition · S₀ᵀ + gain."""
    gain: Tensor


def _local(r: Tensor, decay: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> _Local:
    width, length = r.shape[-1], r.shape[-2]
    total = decay.cumsum(-2)
    a_in, r_in = a * (total - decay).exp(), r * total.exp()
    b_out, k_out = b * (-total).exp(), k * (-total).exp()
    lower = torch.ones(length, length, dtype=torch.bool, device=r.device).tril()
    strict = lower.tril(-1)
    # Row t: how much of S₀ᵀ (first N columns) and of nothing but the chunk's own tokens (last N) token t removes.
    removal = torch.cat((a_in, _masked(a_in @ k_out.mT, strict) @ v), dim=-1)
    identity = torch.eye(length, dtype=r.dtype, device=r.device)
    solved = torch.linalg.solve_triangular(
        identity - _masked(a_in @ b_out.mT, strict), removal, upper=False, unitriangular=True
    )
    from_b = _masked(r_in @ b_out.mT, lower) @ solved
    from_k = _masked(r_in @ k_out.mT, lower) @ v
    rest = (total[..., -1:, :] - total).exp()
    change = (b * rest).mT @ solved
    return _Local(
        reading=r_in + from_b[..., :width],
        output=from_b[..., width:] + from_k,
        transition=change[..., :width] + torch.diag_embed(total[..., -1, :].exp()),
        gain=change[..., width:] + (k * rest).mT @ v,
    )


def _masked(matrix: Tensor, keep: Tensor) -> Tensor:
    return matrix.masked_fill(~keep, 0.0)


def _scan(local: _Local, chunks: _Chunks, state: Tensor) -> tuple[Tensor, Tensor]:
    """Transposed states before every chunk (M, H, N, N) and after every sequence (B, H, N, N)."""
    current = state.mT
    entries, order = [], []
    for sequences, members in chunks.waves:
        entry = current[sequences]
        entries.append(entry)
        order.append(members)
        current = current.index_copy(0, sequences, local.transition[members] @ entry + local.gain[members])
    return torch.cat(entries)[torch.cat(order).argsort()], current
