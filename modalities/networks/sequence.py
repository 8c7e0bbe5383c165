"""Sequences → RWKV-7 → pooled → ordinal heads: the network that every learned expert is made of, to be trained.

Text gives token ids, a picture the patch tokens of an encoder, a film a vector a frame. What
differs is only what a sequence's elements are; see `trunk.py` for text. What rates with the
trained weights is `rater.py`.

Legend:  B = sequences, T = elements of all sequences, V = width of a vector going in,
         C = width of RWKV-7, D = width of the pre-logits, K = labels of the scale,
         P = width of what the heads see, L = layers, H = heads of a layer, N = head size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capitoline.modalities.networks.distribution import STATISTICS, distribution
from capitoline.modalities.networks.heads import OrdinalHead
from capitoline.modalities.networks.ordinal import HeadShape, head_shapes
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.state import State


@dataclass(frozen=True, slots=True)
class Shape:
    """What fixes a network's tensors, but for its heads. Ranks and inner widths left at 0 are the official ones."""

    width: int
    """C."""
    layers: int
    features: int
    """D."""
    labels: int = 0
    """K; a head says for itself what it speaks about."""
    vocabulary: int = 0
    """Token ids that go in; 0 if vectors do."""
    vector: int = 0
    """V, if vectors go in."""
    feed_forward: int = 0
    head_size: int = 64
    decay_rank: int = 0
    rate_rank: int = 0
    value_rank: int = 0
    gate_rank: int = 0
    skip: bool = False
    """Whether the heads also see the mean of the vectors that go in, which a narrow body cannot carry whole."""
    distribution: bool = False
    """Whether the heads also see how those vectors are distributed over the sequence."""

    @property
    def pooled(self) -> int:
        """P, width of what the heads see."""
        return 2 * self.width + self.vector * (self.skip + STATISTICS * self.distribution)

    @property
    def body(self) -> Size:
        """Of the RWKV-7 in it."""
        return Size(**{one.name: getattr(self, one.name) for one in fields(Size)})


class RatingNetwork(nn.Module):
    """RWKV-7 with named ordinal heads on the pooled hidden vectors."""

    state: nn.Parameter | None
    """(L, H, N, N) that every sequence starts from, where state tuning taught one; else zeros."""

    def __init__(self, shape: Shape, heads: Mapping[str, HeadShape], dropout: float = 0.0) -> None:
        super().__init__()
        assert bool(shape.vocabulary) != bool(shape.vector), shape
        self.shape = shape
        self.projector = nn.Linear(shape.vector, shape.width) if shape.vector else nn.Identity()
        self.body = RWKV7(shape.body)
        self.heads = nn.ModuleDict(
            {name: OrdinalHead(shape.pooled, shape.features, one, dropout) for name, one in dict(heads).items()}
        )
        self.register_parameter("state", None)

    def forward(self, inputs: Tensor, offsets: Tensor) -> Tensor:
        """(T,) ids or (T, V) vectors, with offsets (B+1,) → pooled (B, P)."""
        seen = [pool(self.hidden(inputs, offsets), offsets)]
        if self.shape.skip:
            seen.append(F.layer_norm(means(inputs, offsets), (self.shape.vector,)))
        if self.shape.distribution:
            found = torch.from_numpy(distribution(inputs.numpy(force=True), offsets.numpy(force=True)))
            seen.append(F.layer_norm(found, found.shape[1:]).to(inputs.device))
        return torch.cat(seen, dim=1)

    def hidden(self, inputs: Tensor, offsets: Tensor) -> Tensor:
        """(T, C), one vector an element."""
        hidden, _ = self.body(self.projector(inputs), offsets, self._start(len(offsets) - 1))
        return hidden  # type: ignore[no-any-return]

    def head(self, name: str) -> OrdinalHead:
        head = self.heads[name]
        assert isinstance(head, OrdinalHead)
        return head

    def tune_state(self) -> nn.Parameter:
        """Give it a starting state, of zeros, to be trained."""
        size = self.body.size
        state = nn.Parameter(torch.zeros(size.layers, size.heads, size.head_size, size.head_size))
        self.register_parameter("state", state)
        return state

    def _start(self, streams: int) -> State | None:
        if self.state is None:
            return None
        zeros = State.zeros(self.body.size, streams, self.state.device)
        return State(zeros.time_shift, zeros.channel_shift, self.state[:, None].expand_as(zeros.wkv).contiguous())


def pool(hidden: Tensor, offsets: Tensor) -> Tensor:
    """(T, C) → (B, 2C): the last vector, which has read everything, beside the mean, which forgets nothing."""
    hidden = hidden.float()
    return torch.cat((hidden[offsets[1:] - 1], means(hidden, offsets)), dim=1)


def means(elements: Tensor, offsets: Tensor) -> Tensor:
    """(T, …) → (B, …): of each sequence."""
    owner = torch.repeat_interleave(torch.arange(len(offsets) - 1, device=offsets.device), offsets.diff())
    total = elements.new_zeros(len(offsets) - 1, elements.shape[1]).index_add(0, owner, elements)
    return total / offsets.diff()[:, None]


def pack(sequences: Sequence[npt.NDArray[Any]]) -> tuple[Tensor, Tensor]:
    """Sequences, none of them empty, laid end to end: (T, …) and their offsets (B+1,)."""
    offsets = torch.tensor([0, *(len(one) for one in sequences)], dtype=torch.int64).cumsum(0)
    return torch.from_numpy(np.concatenate(sequences)), offsets


def build_network(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> RatingNetwork:
    """The network of a weight file in float32: what `SequenceRater` must equal."""
    network = RatingNetwork(Shape(**metadata["shape"]), head_shapes(metadata))
    if "state" in tensors:
        network.tune_state()
    for name in network.heads:
        linear = tensors.get(f"heads.{name}.linear")
        network.head(name).linear = None if linear is None else linear.float()
    weights = {name: tensor.float() for name, tensor in tensors.items() if name in network.state_dict()}
    network.load_state_dict(weights)
    return network.eval()


def network_metadata(network: RatingNetwork) -> dict[str, Any]:
    """What `build_network` needs beside the tensors."""
    heads = {name: asdict(network.head(name).shape) for name in network.heads}
    return {"shape": asdict(network.shape), "heads": heads}
