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
    with torch.device("meta"):  # the official initialisation would be drawn only to be replaced
        model = RWKV7(size, language_head=language_head)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(_random(name, tensor.shape))
    return model.eval()


def random_checkpoint(size: Size, seed: int = 0) -> dict[str, Tensor]:
    return dict(random_model(size, language_head=True, seed=seed).state_dict())


def _random(name: str, shape: torch.Size) -> Tensor:
    noise = torch.randn(shape)
    if len(shape) == 2 and not name.endswith(("r_k", "emb.weight")):
        inner = shape[1] if name.endswith(".weight") else shape[0]
        return 0.7 / math.sqrt(inner) * noise
    if name.endswith(("ln0.weight", "ln1.weight", "ln2.weight", "ln_x.weight", "ln_out.weight", "k_a")):
        return 1 + 0.1 * noise
    return 0.5 + 0.1 * noise if ".x_" in name or name.endswith("k_k") else 0.1 * noise


def random_batch(vocabulary: int, lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids and offsets of sequences of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocabulary, (sum(lengths),), generator=generator)
    return ids, torch.tensor([0, *lengths]).cumsum(0)
