"""Random weights in official format, with every tensor away from its initial value."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.size import Size


def random_model(size: Size, *, language_head: bool = False, seed: int = 0) -> RWKV7:
    """A model none of whose parts can be left out without its output changing."""
    torch.manual_seed(seed)
    model = RWKV7(size, language_head=language_head)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            _disturb(name, tensor)
    return model.eval()


def random_checkpoint(size: Size, seed: int = 0) -> dict[str, Tensor]:
    return dict(random_model(size, language_head=True, seed=seed).state_dict())


def _disturb(name: str, tensor: Tensor) -> None:
    noise = torch.randn(tensor.shape)
    if name == "emb.weight":
        tensor.copy_(0.1 * noise)
    elif tensor.ndim == 2 and not name.endswith("r_k"):
        inner = tensor.shape[1] if name.endswith(".weight") else tensor.shape[0]
        tensor.add_(0.5 / math.sqrt(inner) * noise)
    else:
        tensor.add_(0.1 * noise)


def random_batch(vocabulary: int, lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids and offsets of sequences of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocabulary, (sum(lengths),), generator=generator)
    return ids, torch.tensor([0, *lengths]).cumsum(0)
