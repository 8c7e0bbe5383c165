"""RWKV-7 "Goose" (x070) with the names and shapes of the official checkpoints.

A batch is one stream of tokens, sequences end to end; nothing is padded. Matrix
products may run under autocast; norms, gates' sums and states are float32.

Legend: T = tokens of all sequences, B = sequences, C = width, H = heads, N = head size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from capitoline.modalities.rwkv.fused import fusible, gated_time_mix, mix, squared_relu
from capitoline.modalities.rwkv.initialisation import TIME_SHIFT_POWERS, initialise
from capitoline.modalities.rwkv.operator import Operator, time_mix
from capitoline.modalities.rwkv.packing import Packing
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.state import State

Carried = tuple[Tensor, Tensor, Tensor]
"""(time shift, channel shift, wkv) of one layer."""

LinearProduct = Callable[[Tensor, Tensor], Tensor]
"""x (T, inputs), weight (outputs, inputs) → (T, outputs)."""


class TimeMix(nn.Module):
    """The part that remembers: projections of the token and its predecessor around the recurrence."""

    w0: Tensor
    w1: Tensor
    w2: Tensor
    a0: Tensor
    a1: Tensor
    a2: Tensor
    v0: Tensor
    v1: Tensor
    v2: Tensor
    g1: Tensor
    g2: Tensor
    k_k: Tensor
    k_a: Tensor
    r_k: Tensor

    def __init__(self, size: Size, layer: int) -> None:
        super().__init__()
        width = size.width
        self.layer, self.heads, self.head_size = layer, size.heads, size.head_size
        self.operator: Operator = time_mix
        self.product: LinearProduct = functional.linear
        for name in (*TIME_SHIFT_POWERS, "w0", "a0", "v0", "k_k", "k_a"):
            self._declare(name, 1, 1, width)
        ranks = {"w": size.decay_rank, "a": size.rate_rank, "v": size.value_rank, "g": size.gate_rank}
        for name, rank in ranks.items():
            self._declare(f"{name}1", width, rank)
            self._declare(f"{name}2", rank, width)
        self._declare("r_k", size.heads, size.head_size)
        self.receptance = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.ln_x = nn.GroupNorm(size.heads, width, eps=64e-5)

    def _declare(self, name: str, *shape: int) -> None:
        # Official files hold v0, v1 and v2 of the first layer too, which nothing reads: no gradient there.
        if self.layer == 0 and name in ("v0", "v1", "v2"):
            self.register_buffer(name, torch.empty(shape))
        else:
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    def forward(
        self, x: Tensor, first_value: Tensor | None, packing: Packing, shift: Tensor, wkv: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x (T, C) → what it adds to the stream (T, C), the first layer's values (T, C), the state after."""
        difference = packing.shift(x, shift) - x
        mixed = [x + difference * ratio for ratio in self.ratios]
        r, k, v, w, rate, gate, value_gate = self._project(mixed, first_value)
        w, rate = self.w0.view(-1) + w, torch.sigmoid(self.a0.view(-1) + rate)
        if first_value is not None:
            v = v + (first_value - v) * torch.sigmoid(self.v0.view(-1) + value_gate)
        removal = functional.normalize(self._split(k * self.k_k.view(-1)), dim=-1, eps=1e-12)
        k = k * (1 + (rate - 1) * self.k_a.view(-1))
        r, w, k, v_heads, rate = (self._split(one) for one in (r, w, k, v, rate))
        y, wkv = self.operator(r, w, k, v_heads, -removal, removal * rate, packing.offsets, wkv)
        y = self.ln_x(y.flatten(1).to(wkv.dtype)) + self._bonus(r, k, v_heads)
        added = self.product(y * gate, self.output.weight)
        return added, v if first_value is None else first_value, wkv

    def fused(
        self, mixed: list[Tensor], first_value: Tensor | None, offsets: Tensor, wkv: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, from the six mixtures (T, C), in `fused.py`'s operators."""
        *projected, value_gate = self._project(mixed, first_value)
        vectors = (self.w0, self.a0, self.v0, self.k_k, self.k_a, self.r_k, self.ln_x.weight, self.ln_x.bias)
        packed = torch.stack([vector.flatten() for vector in vectors])
        y, wkv = gated_time_mix(projected, value_gate, first_value, packed, offsets, wkv)
        added = self.product(y, self.output.weight)
        return added, projected[2] if first_value is None else first_value, wkv

    def _project(self, mixed: list[Tensor], first_value: Tensor | None) -> tuple[Tensor, ...]:
        """r, k, v, and before their biases the decay, the rate, the gate and the value gate: (T, C) each."""
        xr, xw, xk, xv, xa, xg = mixed
        value_gate = xv.new_empty(0) if first_value is None else (xv @ self.v1) @ self.v2
        weights = self.receptance.weight, self.key.weight, self.value.weight
        return (
            *(self.product(*pair) for pair in zip((xr, xk, xv), weights, strict=True)),
            *(torch.tanh(xw @ self.w1) @ self.w2, (xa @ self.a1) @ self.a2, torch.sigmoid(xg @ self.g1) @ self.g2),
            value_gate,
        )

    @property
    def ratios(self) -> Tensor:
        """(6, C): what each mixture takes of the token before, in the order of `TIME_SHIFT_POWERS`."""
        return torch.stack([getattr(self, name).flatten() for name in TIME_SHIFT_POWERS])

    def _split(self, x: Tensor) -> Tensor:
        return x.view(-1, self.heads, self.head_size)

    def _bonus(self, r: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(T, C): what the token itself says at once, past the state."""
        return ((r * self.r_k * k).sum(-1, keepdim=True) * v).flatten(1)


class ChannelMix(nn.Module):
    """The part that thinks: a squared-ReLU layer on the token and its predecessor."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.product: LinearProduct = functional.linear
        self.x_k = nn.Parameter(torch.empty(1, 1, size.width))
        self.key = nn.Linear(size.width, size.feed_forward, bias=False)
        self.value = nn.Linear(size.feed_forward, size.width, bias=False)

    def forward(self, x: Tensor, packing: Packing, shift: Tensor) -> Tensor:
        mixed = x + (packing.shift(x, shift) - x) * self.x_k.view(-1)
        return self.product(torch.relu(self.product(mixed, self.key.weight)) ** 2, self.value.weight)

    def fused(self, mixed: Tensor) -> Tensor:
        """As `forward`, from the mixture (T, C), in `fused.py`'s operator."""
        return self.product(squared_relu(self.product(mixed, self.key.weight)), self.value.weight)


class Block(nn.Module):
    """One layer."""

    def __init__(self, size: Size, layer: int) -> None:
        super().__init__()
        if layer == 0:
            self.ln0 = nn.LayerNorm(size.width)
        self.ln1 = nn.LayerNorm(size.width)
        self.ln2 = nn.LayerNorm(size.width)
        self.att = TimeMix(size, layer)
        self.ffn = ChannelMix(size)

    def forward(
        self, x: Tensor, first_value: Tensor | None, packing: Packing, carried: Carried
    ) -> tuple[Tensor, Tensor, Carried]:
        time_shift, channel_shift, wkv = carried
        if self.att.operator is time_mix and fusible(x, wkv, self.ffn.key.out_features):
            return self._fused(x, first_value, packing, carried)
        normed = self.ln1(x)
        time_shift_after = packing.last(normed, time_shift)
        mixed, values, wkv = self.att(normed, first_value, packing, time_shift, wkv)
        x = x + mixed
        normed = self.ln2(x)
        x = x + self.ffn(normed, packing, channel_shift)
        return x, values, (time_shift_after, packing.last(normed, channel_shift), wkv)

    def _fused(
        self, x: Tensor, first_value: Tensor | None, packing: Packing, carried: Carried
    ) -> tuple[Tensor, Tensor, Carried]:
        """The same in three operators beside the products."""
        time_shift, channel_shift, wkv = carried
        time, channel, offsets = self.ln1, self.ln2, packing.offsets
        x, mixed, time_shift = mix(x, None, time.weight, time.bias, self.att.ratios, offsets, time_shift)
        added, values, wkv = self.att.fused(mixed, first_value, offsets, wkv)
        ratios = self.ffn.x_k.view(1, -1)
        x, (inner,), channel_shift = mix(x, added, channel.weight, channel.bias, ratios, offsets, channel_shift)
        return x + self.ffn.fused(inner), values, (time_shift, channel_shift, wkv)


class RWKV7(nn.Module):
    """The whole model, officially initialised.

    Args:
        language_head: also make the `head` that turns hidden vectors into logits of tokens.
    """

    gradient_checkpointing = False
    """Recompute each layer in the backward pass instead of keeping what it computed."""

    def __init__(self, size: Size, *, language_head: bool = False) -> None:
        super().__init__()
        self.size = size
        self.emb = nn.Embedding(size.vocabulary, size.width) if size.vocabulary else None
        self.blocks = nn.ModuleList(Block(size, layer) for layer in range(size.layers))
        self.ln_out = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, size.vocabulary, bias=False) if language_head else None
        initialise(self.state_dict(), size)

    def embed(self, tokens: Tensor) -> Tensor:
        """(T,) ids → (T, C), to be mixed with other vectors of the same width.

        Raises:
            ValueError: the model was made without a vocabulary.
        """
        if self.emb is None:
            raise ValueError("this model has no vocabulary: give it vectors (T, C), not token ids")
        vectors: Tensor = self.emb(tokens)
        return vectors

    def forward(self, inputs: Tensor, offsets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Hidden vectors of every token, and the state after each sequence.

        Args:
            inputs: (T,) int64 token ids, or vectors (T, C).
            offsets: (B+1,) int64, where each sequence begins; the first is 0, the last T.
            state: before each sequence; zeros if not given.

        Returns:
            (T, C) after the last norm, and the state of the B streams.

        Raises:
            ValueError: the offsets do not fit the inputs, or ids for a model without a vocabulary.
        """
        packing = Packing.of(offsets, inputs.shape[0])
        x = self.embed(inputs) if inputs.ndim == 1 else inputs
        if state is None:
            state = State.zeros(self.size, offsets.numel() - 1, x.device, torch.promote_types(x.dtype, torch.float32))
        if not packing.tokens:
            return x, state
        layers = self.layers
        x = layers[0].ln0(x)
        first_value: Tensor | None = None
        carried = []
        for index, block in enumerate(layers):
            x, first_value, after = self._run(block, x, first_value, packing, state.layer(index))
            carried.append(after)
        return self.ln_out(x), State.stack(carried)

    def multiply_with(self, product: LinearProduct) -> None:
        """Have `product` multiply in the large projections of every layer: `fixed_linear`, `functional.linear`."""
        for layer in self.layers:
            layer.att.product = layer.ffn.product = product

    @property
    def layers(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _run(
        self, block: Block, x: Tensor, first_value: Tensor | None, packing: Packing, carried: Carried
    ) -> tuple[Tensor, Tensor, Carried]:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            result: tuple[Tensor, Tensor, Carried] = checkpoint(
                block, x, first_value, packing, carried, use_reentrant=False
            )
            return result
        result = block(x, first_value, packing, carried)
        return result
