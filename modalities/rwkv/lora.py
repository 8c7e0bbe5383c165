"""Low-rank adaptation (arXiv:2106.09685) of a model's projections: few parameters to train, none left at the end."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from capitoline.modalities.rwkv.model import RWKV7

TIME_MIX = ("receptance", "key", "value", "output")
CHANNEL_MIX = ("key", "value")


class LowRank(nn.Module):
    """A weight plus alpha / rank · B A; nothing is changed before the first step, B being zero."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.scale = alpha / rank
        self.a = nn.Parameter(torch.empty(rank, inputs, device=weight.device))
        self.b = nn.Parameter(torch.zeros(outputs, rank, device=weight.device))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.b @ self.a)


def adapt(model: RWKV7, rank: int, alpha: float) -> list[nn.Parameter]:
    """Freeze the model and give every projection an adapter.

    Returns:
        the adapters' parameters, which are all that is left to train.

    Raises:
        ValueError: the rank is not positive, or the model is adapted already.
    """
    projections = _projections(model)
    if rank < 1 or any(parametrize.is_parametrized(one) for one in projections):
        raise ValueError("adapt a model once, with a rank of at least 1; merge the adapters before adding others")
    model.requires_grad_(False)
    adapters = [LowRank(one.weight, rank, alpha) for one in projections]
    for projection, adapter in zip(projections, adapters, strict=True):
        parametrize.register_parametrization(projection, "weight", adapter)
    return [parameter for adapter in adapters for parameter in adapter.parameters()]


def merge(model: RWKV7) -> None:
    """Fold the adapters into the weights: the model is an ordinary one again, with official names."""
    for projection in _projections(model):
        if parametrize.is_parametrized(projection):
            parametrize.remove_parametrizations(projection, "weight", leave_parametrized=True)


def _projections(model: RWKV7) -> list[nn.Linear]:
    found = [getattr(block.att, name) for block in model.layers for name in TIME_MIX]
    return found + [getattr(block.ffn, name) for block in model.layers for name in CHANNEL_MIX]
