"""Where a network's body and vocabulary come from: scratch, weights of ours, or an official RWKV-7 checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from capitoline.configs.training import Training
from capitoline.modalities.language.vocabulary import BEGIN, BYTES
from capitoline.modalities.networks.sequence import RatingNetwork, Shape
from capitoline.modalities.rwkv.checkpoint import read_tensors, size_of
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.tokenizer import VOCABULARY
from capitoline.modalities.weights import METADATA_KEY, find_weights, read_weights

EMBEDDING = "body.emb.weight"


@dataclass(frozen=True, slots=True)
class Start:
    """What is known before the first step."""

    size: Size
    tensors: Mapping[str, Tensor]
    """By a `RatingNetwork`'s names; none from scratch."""
    kept: tuple[int, ...] | None = None
    """World ids that the start's vocabulary keeps; None if the vocabulary is to be made of the training rows."""
    every_token: bool = False
    """Whether the embedding has a row for every World token, to be compacted to the vocabulary."""

    def load(self, network: RatingNetwork, vocabulary: npt.NDArray[np.int32] | None) -> None:
        """Give `network` what the start knows. `vocabulary` is the World ids that its tokens keep."""
        tensors = {name: tensor.float() for name, tensor in self.tensors.items()}
        if self.every_token:
            assert vocabulary is not None
            rows = np.concatenate((np.arange(BEGIN, BYTES + 1), vocabulary))
            tensors[EMBEDDING] = tensors[EMBEDDING][rows]
        missing, _ = network.load_state_dict(tensors, strict=False)
        lost = [name for name in missing if name.startswith("body.")] if tensors else []
        assert not lost, lost


def read_start(settings: Training) -> Start:
    """What `settings.start` names.

    Raises:
        ValueError: there are no such weights, or not of this kind and of the sizes that `network` asks for.
    """
    sizes = settings.network
    if not settings.start:
        return Start(Size(0, sizes.width, sizes.layers), {})
    path = find_weights(settings.start)
    start = _ours(path, settings.kind) if _is_ours(path) else _official(path, settings.kind)
    if (start.size.width, start.size.layers) != (sizes.width, sizes.layers):
        raise ValueError(
            f"{path} has {start.size.layers} layers of {start.size.width} channels: "
            f"write `network: {{width: {start.size.width}, layers: {start.size.layers}}}`"
        )
    return start


def _is_ours(path: Path) -> bool:
    from safetensors import safe_open

    if path.suffix != ".safetensors":
        return False
    with safe_open(path, framework="numpy") as file:
        return METADATA_KEY in (file.metadata() or {})


def _ours(path: Path, kind: str) -> Start:
    tensors, metadata = read_weights(path, kind)
    kept = tuple(tensors["vocabulary"].tolist()) if "vocabulary" in tensors else None
    known = {name: one for name, one in tensors.items() if name.startswith(("body.", "projector."))}
    return Start(Shape(**metadata["shape"]).body, known, kept)


def _official(path: Path, kind: str) -> Start:
    tensors = read_tensors(path)
    size = size_of(tensors)
    if kind == "text" and size.vocabulary < VOCABULARY:
        raise ValueError(f"{path} has {size.vocabulary:,} token vectors; the World vocabulary has {VOCABULARY:,}")
    unread = {"head.weight"} if kind == "text" else {"head.weight", "emb.weight"}
    named = {f"body.{name}": one for name, one in tensors.items() if name not in unread}
    return Start(size, named, every_token=kind == "text")


def shape_of(settings: Training, start: Start, vocabulary: int, vector: int) -> Shape:
    """Of the network that `settings` asks for, with so many tokens or so wide vectors going in."""
    size = asdict(start.size) | {"vocabulary": vocabulary}
    return Shape(
        **size,
        features=settings.network.features,
        labels=len(settings.labels),
        vector=vector,
        skip=settings.network.skip,
        distribution=settings.network.distribution,
    )
