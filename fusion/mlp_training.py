"""Training of the fusion network, in PyTorch, in seconds.

Legend:  N = rows, E = experts, K = labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from capitoline.fusion import stacking
from capitoline.fusion.continuation import taught_steps
from capitoline.fusion.fitted import frame_of, rows_to_fit
from capitoline.fusion.mlp import Inputs, Mlp, inputs_of
from capitoline.fusion.network import Batch, FusionNetwork
from capitoline.fusion.options import Options
from capitoline.modalities.feature_set import FeatureSet
from capitoline.modalities.networks.heads import fit_temperature
from capitoline.modalities.networks.losses import ordinal_loss

NEVER = -12.0
"""Log-odds of the steps that no row teaches, while training: certain, and without a gradient."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What there is to learn from."""

    inputs: Inputs
    truth: npt.NDArray[np.int64]
    """(N,) severities."""
    taught: npt.NDArray[np.bool_]
    """(K-1,) steps about which the rows say something."""

    def batch(self, rows: Rows, draw: np.random.Generator | None = None, missing: float = 0.0) -> Batch:
        """Items `rows`; with `draw`, each expert hidden with probability `missing`, but never all of an item's."""
        inputs, rated = self.inputs, self.inputs.rated[rows]
        if draw is not None:
            shown = rated & (draw.random(rated.shape) >= missing)
            rated = np.where(shown.any(axis=1, keepdims=True), shown, rated)
        features = [torch.from_numpy(one[rows]) for one in inputs.features]
        return features, torch.from_numpy(inputs.odds[rows]), torch.from_numpy(rated)

    def loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        return ordinal_loss(self.within(logits), truth, torch.ones(len(truth)))

    def within(self, logits: Tensor) -> Tensor:
        """(B, K-1) logits with the steps that no row teaches held fixed."""
        return torch.where(torch.from_numpy(self.taught), logits, NEVER)


def fit(features: FeatureSet, options: Options) -> Mlp:
    """Train M networks, each on another part of the rows; what it left out chooses its epoch and the temperature.

    Raises:
        ValueError: as `rows_to_fit`.
    """
    rows, frame = rows_to_fit(features), frame_of(features, options.down_cost)
    inputs = inputs_of(rows, frame, tuple(one.features.shape[1] for one in rows.experts))
    lesson = Lesson(inputs, rows.truth, taught_steps(rows.truth, len(rows.labels)))
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    left_out, truth = [], []
    for member, held in enumerate(_held_out(rows, options)):
        kept = np.setdiff1d(np.arange(len(rows)), held)
        # The sum that it starts as must not know the rows that choose its epoch.
        stack = stacking.fit(rows.at(kept), options)
        network = _train(lesson, kept, held, stack, options, member)
        tensors |= {f"{member}.{name}": one.numpy() for name, one in network.state_dict().items() if name != "alone"}
        left_out.append(lesson.within(network(*lesson.batch(held))[0].detach()))
        truth.append(rows.truth[held])
    temperature = fit_temperature(torch.cat(left_out), torch.from_numpy(np.concatenate(truth)))
    tensors |= {"temperature": np.full(1, temperature, np.float32), "taught": lesson.taught.astype(np.float32)}
    return Mlp(frame, tensors | _samples(inputs, frame.names, options))


def _train(
    lesson: Lesson, kept: Rows, held: Rows, stack: stacking.Stacking, options: Options, member: int
) -> FusionNetwork:
    """One network trained on the rows `kept`, as it was after the epoch that did best on the rows `held`."""
    numbers = options.mlp
    torch.manual_seed(options.seed * 1_000 + member)
    draw = np.random.default_rng((options.seed, member))
    network = FusionNetwork(tuple(one.shape[1] for one in lesson.inputs.features), stack, numbers)
    optimiser = torch.optim.AdamW(network.parameters(), numbers.rate, weight_decay=numbers.decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, numbers.epochs)
    best, lowest = _copy(network), _held_loss(network, lesson, held)
    for _ in range(numbers.epochs):
        network.train()
        for rows in np.array_split(draw.permutation(kept), -(-len(kept) // numbers.batch)):
            optimiser.zero_grad(set_to_none=True)
            batch = lesson.batch(rows, draw, numbers.missing)
            _loss(network, lesson, batch, torch.from_numpy(lesson.truth[rows]), numbers.auxiliary).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        if (now := _held_loss(network, lesson, held)) < lowest:
            best, lowest = _copy(network), now
    network.load_state_dict(best)
    return network.eval()


def _loss(network: FusionNetwork, lesson: Lesson, batch: Batch, truth: Tensor, auxiliary: float) -> Tensor:
    """Of all experts together, and `auxiliary` times the mean of what each adapter loses when it rates alone."""
    together, alone = network(*batch)
    loss = lesson.loss(together, truth)
    for logits, rated in zip(alone.unbind(1), batch[2].unbind(1), strict=True):
        if auxiliary and rated.any():
            loss = loss + auxiliary / alone.shape[1] * lesson.loss(logits[rated], truth[rated])
    return loss


@torch.no_grad()
def _held_loss(network: FusionNetwork, lesson: Lesson, held: Rows) -> float:
    network.eval()
    return lesson.loss(network(*lesson.batch(held))[0], torch.from_numpy(lesson.truth[held])).item()


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


def _copy(network: FusionNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
