"""The processes that train one network together, each on its share of every batch.

Each counts its share's losses in shares of the whole batch, so the sum of their gradients is the
gradient that one process would have had.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Peers:
    """This process among `size`. Alone, nothing is exchanged."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all gradients. All must have gradients for the same parameters."""
        if self.size == 1:
            return
        gradients = [one.grad for one in parameters if one.grad is not None]
        flat = torch.cat([one.flatten() for one in gradients])
        torch.distributed.all_reduce(flat)
        sizes = [one.numel() for one in gradients]
        for gradient, sums in zip(gradients, torch.split(flat, sizes), strict=True):
            gradient.copy_(sums.view_as(gradient))

    def total(self, number: float, device: torch.device) -> float:
        """The sum of every process's `number`."""
        if self.size == 1:
            return number
        numbers = torch.tensor(number, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(numbers)
        return float(numbers)


ALONE = Peers()
"""The only process there is."""
