"""The fusion network as PyTorch trains it; `mlp.py` is what decides with it.

Legend:  B = items of a batch, E = experts, D = width of one expert's pre-logits, W = width of
         an adapter, K = labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from capitoline.fusion.mlp import ODDS_SCALE
from capitoline.fusion.options import MlpOptions
from capitoline.fusion.stacking import Stacking

Batch = tuple[list[Tensor], Tensor, Tensor]
"""E pre-logits (B, D), log-odds (B, E, K-1), rated (B, E)."""


class Adapter(nn.Module):
    """One expert's pre-logits and log-odds → (B, W)."""

    def __init__(self, features: int, steps: int, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features) if features else None
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features + steps, width)

    def forward(self, features: Tensor, odds: Tensor) -> Tensor:
        parts = [] if self.norm is None else [self.dropout(self.norm(features))]
        return torch.relu(self.linear(torch.cat((*parts, odds / float(ODDS_SCALE)), dim=1)))


class FusionNetwork(nn.Module):
    """Any subset of the experts → log-odds (B, K-1) of all together and (B, E, K-1) of each alone."""

    usual: Tensor

    def __init__(self, widths: tuple[int, ...], stack: Stacking, options: MlpOptions) -> None:
        super().__init__()
        experts, steps = stack.tensors["usual"].shape
        parameters = torch.from_numpy(stack.tensors["parameters"].copy())
        self.adapters = nn.ModuleList(Adapter(one, steps, options.width, options.dropout) for one in widths)
        self.absent = nn.Parameter(torch.zeros(experts, options.width))
        self.dropout = nn.Dropout(options.dropout)
        self.hidden = nn.Linear(experts * (options.width + 1), options.hidden)
        self.logits = nn.Linear(options.hidden, steps)
        self.slopes = nn.Parameter(parameters[:experts])
        self.absence = nn.Parameter(parameters[experts : 2 * experts])
        self.alone = nn.Parameter(torch.zeros(experts, options.width, steps))
        self.register_buffer("usual", torch.from_numpy(stack.tensors["usual"].copy()))
        nn.init.zeros_(self.logits.weight)
        with torch.no_grad():
            self.logits.bias.copy_(parameters[2 * experts :])

    def forward(self, features: list[Tensor], odds: Tensor, rated: Tensor) -> tuple[Tensor, Tensor]:
        present = rated[:, :, None]
        read = zip(self.adapters, features, odds.unbind(1), strict=True)
        adapted = torch.stack([adapter(one, own) for adapter, one, own in read], dim=1)
        shown = torch.where(present, adapted, self.absent)
        hidden = torch.relu(self.hidden(torch.cat((shown.flatten(1), rated.float()), dim=1)))
        weighted = torch.where(present, odds, self.usual) * self.slopes[:, None] + ~present * self.absence[:, None]
        together = self.logits(self.dropout(hidden)) + weighted.sum(1)
        return together, odds + torch.einsum("bew,ews->bes", adapted, self.alone)
