"""Sequences → RWKV-7 → pooled → ordinal heads: the network that every learned expert is made of.

Text gives token ids, a picture the patch tokens of an encoder, a film a vector a frame. What
differs is only what a sequence's elements are; see `trunk.py` for text.

Legend:  B = sequences, T = elements of all sequences, V = width of a vector going in,
         C = width of RWKV-7, D = width of the pre-logits, K = labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from capitoline.modalities.heads import OrdinalHead, decide, log_probabilities
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.weights import read_weights

ELEMENTS_A_RUN = 8_192
"""Tokens or vectors in one run of the network: bounds memory, and larger ones gain nothing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What fixes a network's tensors."""

    width: int
    """C."""
    layers: int
    features: int
    """D."""
    labels: int
    """K."""
    vocabulary: int = 0
    """Token ids that go in; 0 if vectors do."""
    vector: int = 0
    """V, if vectors go in."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """What the network says about B inputs."""

    probabilities: npt.NDArray[np.float32]
    """(B, K), each row summing to 1."""
    features: npt.NDArray[np.float32]
    """(B, D) pre-logits."""
    severities: npt.NDArray[np.int64]
    """(B,) of least expected cost."""

    @property
    def expected(self) -> npt.NDArray[np.float32]:
        """(B,) expected severity: finer than the decided one, for ranking the parts of an item."""
        return (self.probabilities @ np.arange(self.probabilities.shape[1])).astype(np.float32)

    def worst_of(self, owners: Sequence[int], count: int) -> Ratings:
        """Of the parts of each owner 0 … count-1, the one of the highest expected severity.

        A mean would let ninety harmless frames hide one that is not.
        """
        expected, worst = self.expected, np.full(count, -1)
        for part, owner in enumerate(owners):
            if worst[owner] < 0 or expected[part] > expected[worst[owner]]:
                worst[owner] = part
        assert (worst >= 0).all(), "an owner without a part"
        return Ratings(self.probabilities[worst], self.features[worst], self.severities[worst])


class RatingNetwork(nn.Module):
    """RWKV-7 with named ordinal heads on the pooled hidden vectors."""

    def __init__(self, shape: Shape, heads: Sequence[str], dropout: float = 0.0) -> None:
        super().__init__()
        assert bool(shape.vocabulary) != bool(shape.vector), shape
        self.shape = shape
        self.projector = nn.Linear(shape.vector, shape.width) if shape.vector else nn.Identity()
        self.body = RWKV7(Size(shape.vocabulary, shape.width, shape.layers))
        self.heads = nn.ModuleDict(
            {name: OrdinalHead(2 * shape.width, shape.features, shape.labels, dropout) for name in heads}
        )

    def forward(self, inputs: Tensor, offsets: Tensor) -> Tensor:
        """(T,) ids or (T, V) vectors, with offsets (B+1,) → pooled (B, 2C)."""
        hidden, _ = self.body(self.projector(inputs), offsets)
        return pool(hidden, offsets)

    def head(self, name: str) -> OrdinalHead:
        head = self.heads[name]
        assert isinstance(head, OrdinalHead)
        return head


def pool(hidden: Tensor, offsets: Tensor) -> Tensor:
    """(T, C) → (B, 2C): the last vector, which has read everything, beside the mean, which forgets nothing."""
    hidden = hidden.float()
    owner = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())
    total = hidden.new_zeros(len(offsets) - 1, hidden.shape[1]).index_add(0, owner, hidden)
    return torch.cat((hidden[offsets[1:] - 1], total / offsets.diff()[:, None]), dim=1)


def pack(sequences: Sequence[npt.NDArray[Any]]) -> tuple[Tensor, Tensor]:
    """Sequences, none of them empty, laid end to end: (T, …) and their offsets (B+1,)."""
    offsets = torch.tensor([0, *(len(one) for one in sequences)], dtype=torch.int64).cumsum(0)
    return torch.from_numpy(np.concatenate(sequences)), offsets


class SequenceRater:
    """A weight file, loaded, that rates sequences on the labels it was trained on.

    Raises:
        ValueError: the file cannot be read or holds weights of another kind.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.tensors, self.metadata = read_weights(path, kind)
        self.labels: tuple[str, ...] = tuple(self.metadata["labels"])
        self.network = build_network(self.tensors, self.metadata)

    @torch.inference_mode()
    def __call__(self, sequences: Sequence[npt.NDArray[Any]], head: str) -> Ratings:
        """Ratings of B sequences, each of (T, V) float32 vectors or (T,) int64 token ids, by `head`."""
        probabilities = np.zeros((len(sequences), len(self.labels)), np.float32)
        features = np.zeros((len(sequences), self.network.shape.features), np.float32)
        for rows in _runs([len(one) for one in sequences]):
            pooled = self.network(*pack([sequences[row] for row in rows]))
            logits, pre_logits = self.network.head(head)(pooled)
            probabilities[rows] = log_probabilities(logits).exp().numpy()
            features[rows] = pre_logits.numpy()
        return Ratings(probabilities, features, decide(probabilities, self.metadata["down_cost"]))


def build_network(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> RatingNetwork:
    """The network of a weight file in float32, ready to rate."""
    network = RatingNetwork(Shape(**metadata["shape"]), metadata["heads"])
    weights = {name: tensor.float() for name, tensor in tensors.items() if name in network.state_dict()}
    network.load_state_dict(weights)
    return network.eval()


def network_metadata(network: RatingNetwork) -> dict[str, Any]:
    """What `build_network` needs beside the tensors."""
    return {"shape": asdict(network.shape), "heads": list(network.heads)}


def _runs(lengths: Sequence[int]) -> list[list[int]]:
    """Rows divided into runs of at most `ELEMENTS_A_RUN` elements; a longer sequence runs alone."""
    runs: list[list[int]] = []
    room = 0
    for row, length in enumerate(lengths):
        if length > room:
            runs.append([])
            room = ELEMENTS_A_RUN
        runs[-1].append(row)
        room -= length
    return runs
