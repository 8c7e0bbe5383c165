"""Training of the fusion network, in PyTorch, in seconds.

Legend:  as `mlp.py`; B = items of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from capitoline.fusion import stacking
from capitoline.fusion.continuation import taught_steps
from capitoline.fusion.fitted import frame_of, rows_to_fit
from capitoline.fusion.mlp import ODDS_SCALE, Inputs, Mlp, inputs_of
from capitoline.fusion.options import MlpOptions, Options
from capitoline.modalities.feature_set import FeatureSet
from capitoline.modalities.heads import fit_temperature
from capitoline.modalities.losses import ordinal_loss

NEVER = -12.0
"""Log-odds of the steps that no row teaches, while training: certain, and without a gradient."""

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

    def __init__(self, widths: tuple[int, ...], stack: stacking.Stacking, options: MlpOptions) -> None:
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


def fit(features: FeatureSet, options: Options) -> Mlp:
    """Train M networks, each on another part of the rows; what it left out chooses its epoch and the temperature.

    Raises:
        ValueError: as `rows_to_fit`.
    """
    rows, frame = rows_to_fit(features), frame_of(features, options.down_cost)
    widths = tuple(one.features.shape[1] for one in rows.experts)
    inputs, taught = inputs_of(rows, frame, widths), taught_steps(rows.truth, len(rows.labels))
    stack = stacking.fit(rows, options)
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    left_out, truth = [], []
    for member, held in enumerate(_held_out(rows, options)):
        network = _train(inputs, rows.truth, held, taught, stack, options, member)
        tensors |= {f"{member}.{name}": tensor.numpy() for name, tensor in network.state_dict().items()}
        left_out.append(_taught_only(network(*_batch(inputs, held))[0].detach(), taught))
        truth.append(rows.truth[held])
    temperature = fit_temperature(torch.cat(left_out), torch.from_numpy(np.concatenate(truth)))
    tensors |= {"temperature": np.float32(temperature).reshape(1), "taught": taught.astype(np.float32)}
    tensors = {name: one for name, one in tensors.items() if not name.endswith(".alone")}
    return Mlp(frame, tensors | _samples(inputs, frame.names, options))


def _train(
    inputs: Inputs,
    truth: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
    taught: npt.NDArray[np.bool_],
    stack: stacking.Stacking,
    options: Options,
    member: int,
) -> FusionNetwork:
    """One network, as it was after the epoch that did best on the rows `held`."""
    numbers = options.mlp
    torch.manual_seed(options.seed * 1_000 + member)
    draw = np.random.default_rng((options.seed, member))
    network = FusionNetwork(tuple(one.shape[1] for one in inputs.features), stack, numbers)
    optimiser = torch.optim.AdamW(network.parameters(), numbers.rate, weight_decay=numbers.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, numbers.epochs)
    kept = np.setdiff1d(np.arange(len(truth)), held)
    best, lowest = _copy(network), _held_loss(network, inputs, truth, held, taught)
    for _ in range(numbers.epochs):
        network.train()
        for rows in np.array_split(draw.permutation(kept), max(1, len(kept) // numbers.batch)):
            batch = _batch(inputs, rows, draw, numbers.missing)
            loss = _loss(network, batch, torch.from_numpy(truth[rows]), taught, numbers.auxiliary)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        if (now := _held_loss(network, inputs, truth, held, taught)) < lowest:
            best, lowest = _copy(network), now
    network.load_state_dict(best)
    return network.eval()


def _loss(
    network: FusionNetwork, batch: Batch, truth: Tensor, taught: npt.NDArray[np.bool_], auxiliary: float
) -> Tensor:
    together, alone = network(*batch)
    loss = ordinal_loss(_taught_only(together, taught), truth, torch.ones(len(truth)))
    for expert, rated in enumerate(batch[2].unbind(1)):
        if rated.any():
            chosen = _taught_only(alone[rated, expert], taught)
            loss = loss + auxiliary / len(network.adapters) * ordinal_loss(
                chosen, truth[rated], torch.ones(len(chosen))
            )
    return loss


@torch.no_grad()
def _held_loss(
    network: FusionNetwork,
    inputs: Inputs,
    truth: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
    taught: npt.NDArray[np.bool_],
) -> float:
    network.eval()
    logits = _taught_only(network(*_batch(inputs, held))[0], taught)
    return ordinal_loss(logits, torch.from_numpy(truth[held]), torch.ones(len(held))).item()


def _batch(
    inputs: Inputs, rows: npt.NDArray[np.int64], draw: np.random.Generator | None = None, missing: float = 0.0
) -> Batch:
    """Items `rows`; with `draw`, each expert hidden with probability `missing`, but never all of an item's."""
    rated = inputs.rated[rows]
    if draw is not None:
        shown = rated & (draw.random(rated.shape) >= missing)
        rated = np.where(shown.any(axis=1, keepdims=True), shown, rated)
    return (
        [torch.from_numpy(one[rows]) for one in inputs.features],
        torch.from_numpy(inputs.odds[rows]),
        torch.from_numpy(rated),
    )


def _held_out(rows: FeatureSet, options: Options) -> Iterator[npt.NDArray[np.int64]]:
    """For each network the rows that it does not train on: another part of the groups each."""
    names, group_of = np.unique(rows.groups, return_inverse=True)
    order = np.random.default_rng(options.seed).permutation(len(names))
    for groups in np.array_split(order, max(2, options.mlp.members))[: options.mlp.members]:
        yield np.flatnonzero(np.isin(group_of, groups))


def _samples(inputs: Inputs, names: tuple[str, ...], options: Options) -> dict[str, npt.NDArray[np.float32]]:
    """What each expert said on some of the rows that it rated: for all experts the same rows, where they all rated."""
    order = np.random.default_rng(options.seed).permutation(len(inputs.rated))
    order = order[np.argsort(-inputs.rated[order].sum(axis=1), kind="stable")]
    arrays, odds = {}, []
    for expert, name in enumerate(names):
        rows = order[inputs.rated[order, expert]]
        rows = np.resize(rows, options.mlp.samples) if len(rows) else np.zeros(options.mlp.samples, np.int64)
        if inputs.features[expert].shape[1]:
            arrays[f"samples.{name}"] = inputs.features[expert][rows]
        odds.append(inputs.odds[rows, expert])
    return {**arrays, "samples_odds": np.stack(odds, axis=1)}


def _taught_only(logits: Tensor, taught: npt.NDArray[np.bool_]) -> Tensor:
    return torch.where(torch.from_numpy(taught), logits, NEVER)


def _copy(network: FusionNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
