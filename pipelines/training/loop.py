"""The epochs of a training: steps, choice of the best epoch, checkpoints.

Every step draws from generators that are seeded by its number, so that a continued run draws
what an undisturbed one would have drawn.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor

from capitoline.configs.training import Training
from capitoline.modalities.networks.losses import penalties
from capitoline.modalities.networks.sequence import RatingNetwork, pack, pool
from capitoline.pipelines.training.arithmetic import autocast, filled
from capitoline.pipelines.training.averaging import with_another
from capitoline.pipelines.training.corpus import Rows, Targets, head_weights_of
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.inputs import Inputs
from capitoline.pipelines.training.lessons import Lesson, Lessons
from capitoline.pipelines.training.optimiser import cosine, make_optimiser, set_rate
from capitoline.pipelines.training.peers import Peers
from capitoline.pipelines.training.prediction import selection_losses
from capitoline.pipelines.training.reasons import append, reason_loss
from capitoline.pipelines.training.run_folder import RunFolder
from capitoline.pipelines.training.tuning import REASONS

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from. Legend: S = sequences, R = training rows, several of which may read one sequence."""

    rows: Numbers
    """(R,)."""
    readings: Numbers
    """(R,) which of the sequences each reads."""

    @staticmethod
    def of(readers: Sequence[Numbers]) -> Batch:
        """S sequences with the rows that read each."""
        lengths = [len(one) for one in readers]
        return Batch(np.concatenate(readers), np.repeat(np.arange(len(readers)), lengths))


@dataclass
class Progressed:
    """How far a run has come; with the network and the optimiser, a checkpoint."""

    epoch: int = 0
    step: int = 0
    """Of the epoch, to be done next."""
    total: float = 0.0
    """Sum of the losses of the epoch's steps."""
    seconds: float = 0.0
    lowest: float = float("inf")
    stale: int = 0
    """Epochs since the lowest selection loss."""
    best: dict[str, Tensor] = field(default_factory=dict)
    mean: dict[str, Tensor] = field(default_factory=dict)
    """Of the networks that the epochs ended with, if they are averaged."""
    epochs: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """Trains `network` on `rows`, in place."""

    def __init__(
        self,
        network: RatingNetwork,
        rows: Rows,
        inputs: Inputs,
        targets: Targets,
        settings: Training,
        folder: RunFolder,
        peers: Peers,
        lessons: Lessons | None = None,
    ) -> None:
        self._lessons = lessons
        self._weights = head_weights_of(settings)
        self._network, self._rows, self._inputs, self._targets = network, rows, inputs, targets
        self._settings, self._folder, self._peers = settings, folder, peers
        self._optimiser = make_optimiser(network, settings.rate, settings.decay, settings.trunk_rate)
        self._device = next(network.parameters()).device
        self._taught = rows.taught
        self._readers = _readers(self._taught, inputs)
        self._batches = -(-len(self._readers) // settings.batch)
        self._saved_at = time.monotonic()

    def run(self) -> list[dict[str, Any]]:
        """All epochs that are left; the network then is that of the epoch which did best on the selection rows.

        Where the settings say `average`, it is the mean of all epochs' if that does better still.

        Returns:
            a line an epoch, as `metrics.jsonl` has them.
        """
        done = self._resume()
        while done.epoch < self._settings.epochs and not self._is_stale(done):
            self._epoch(done)
            self._judge(done)
            if self._peers.leads:
                self._folder.log(done.epochs)
            self._save(done)
        self._network.load_state_dict(done.mean if self._mean_is_better(done) else done.best)
        return done.epochs

    def _mean_is_better(self, done: Progressed) -> bool:
        if not self._settings.average:
            return False
        self._network.load_state_dict(done.mean)
        return self._held_out()[0] < done.lowest

    def _resume(self) -> Progressed:
        saved = self._folder.saved()
        if saved is None:
            return Progressed(best=self._copy())
        self._network.load_state_dict(saved.pop("network"))
        self._optimiser.load_state_dict(saved.pop("optimiser"))
        return Progressed(**saved)

    def _is_stale(self, done: Progressed) -> bool:
        return bool(self._settings.patience) and done.stale >= self._settings.patience

    def _epoch(self, done: Progressed) -> None:
        """What is left of one pass over the training rows."""
        settings, started, before = self._settings, time.monotonic(), done.seconds
        order = np.random.default_rng((settings.seed, done.epoch)).permutation(len(self._readers))
        batches = np.array_split(order, self._batches)
        self._network.train()
        with Progress(disable=not self._peers.leads) as progress:
            task = progress.add_task("", total=len(batches), completed=done.step)
            while done.step < len(batches):
                done.total += self._step(batches[done.step], done.epoch, done.step)
                done.step += 1
                done.seconds = before + time.monotonic() - started
                description = f"epoch {done.epoch + 1}/{settings.epochs}: loss {done.total / done.step:.3f}"
                progress.update(task, advance=1, description=description)
                if self._peers.leads and time.monotonic() - self._saved_at > 60 * settings.checkpoint_minutes:
                    self._save(done)

    def _step(self, chosen: Numbers, epoch: int, step: int) -> float:
        """One step on the sequences `chosen`, for all rows that read them; its loss."""
        settings, peers = self._settings, self._peers
        draw = np.random.default_rng((settings.seed, epoch, step))
        torch.manual_seed(int(draw.integers(2**62)) + peers.rank)
        share = cosine(epoch * self._batches + step, settings.epochs * self._batches, settings.warmup)
        set_rate(self._optimiser, settings.rate * share)
        readers = [self._readers[one] for one in chosen]
        # Every process draws the whole batch, so that each sequence is drawn the same however many there are.
        sequences = [self._inputs.sequence(self._taught[rows[0]], draw) for rows in readers]
        loss = self._loss(readers, sequences)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        peers.add_gradients(self._network.parameters())
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimiser.step()
        return peers.total(loss.item(), self._device)

    def _loss(self, readers: Sequence[Numbers], sequences: Sequence[npt.NDArray[Any]]) -> Tensor:
        """This process's part of the batch's loss."""
        own = self._own
        if not hasattr(self._network, REASONS):
            return self._pooled_loss(self._read(self._network, sequences[own])[: len(sequences[own])], readers)
        examples = [self._teller(rows) for rows in readers[own]]
        weights = [one.source.reason.weight if one.source.reason else 0.0 for one in examples]
        said = append(sequences[own], [self._inputs.reason(one) for one in examples], weights)
        hidden = self._read(self._network.hidden, said.sequences)
        pooled = pool(hidden[said.texts.to(self._device)], said.text_offsets.to(self._device))
        reasons = reason_loss(getattr(self._network, REASONS), hidden, said) / len(readers)
        return self._pooled_loss(pooled, readers) + reasons

    @property
    def _own(self) -> slice:
        """This process's sequences of a batch."""
        return slice(self._peers.rank, None, self._peers.size)

    def _pooled_loss(self, pooled: Tensor, readers: Sequence[Numbers]) -> Tensor:
        """Of the labels, and of the teachers' answers where there are any."""
        loss = self._heads_loss(pooled, Batch.of(readers))
        if self._lessons is None:
            return loss
        batch = [self._lesson([self._taught[row] for row in rows]) for rows in readers]
        return loss + self._lessons.loss(self._network, pooled, batch, self._own)

    def _lesson(self, readers: Sequence[Example]) -> Lesson:
        heads, weight = {one.source.head for one in readers}, max(one.source.weight for one in readers)
        return Lesson(str(self._inputs.read_by(readers[0])), heads, weight)

    def _teller(self, rows: Numbers) -> Example:
        """Of the rows that read one sequence, the first that has a reason, or the first."""
        examples: list[Example] = [self._taught[row] for row in rows]
        return next((one for one in examples if one.source.reason), examples[0])

    def _read(self, network: Callable[..., Any], sequences: Sequence[npt.NDArray[Any]]) -> Tensor:
        """What `network` makes of the sequences laid end to end; in bfloat16 more may follow, of what fills them up."""
        arithmetic = self._settings.arithmetic
        # Transformers pad by themselves.
        whole = filled(sequences, arithmetic) if isinstance(self._network, RatingNetwork) else sequences
        inputs, offsets = (one.to(self._device) for one in pack(whole))
        with autocast(self._network, arithmetic):
            read: Tensor = network(inputs, offsets)
        return read

    def _heads_loss(self, pooled: Tensor, batch: Batch) -> Tensor:
        """Of each head the weighted mean over the batch's known levels, by the head's share of the batch."""
        loss, peers = pooled.new_zeros(()), self._peers
        for name, places in self._targets.by_head(batch.rows):
            head, axes = self._network.head(name), self._targets.heads[name]
            here = places[batch.readings[places] % peers.size == peers.rank]
            rows = batch.rows[here]
            logits, _ = head(pooled[torch.from_numpy(batch.readings[here] // peers.size).to(self._device)])
            severities, weights = (
                torch.from_numpy(one[rows, :axes]).to(self._device)
                for one in (self._targets.severities, self._targets.weights)
            )
            each = penalties(head.shape.loss, logits, severities, head.shape.down_cost) * weights
            whole = max(float(self._targets.weights[batch.rows[places]].sum()), 1e-12)
            loss = loss + each.sum() / whole * self._weights[name] * len(places) / len(batch.rows)
        return loss

    def _judge(self, done: Progressed) -> None:
        """Close the epoch: its line, and its network if it is the best so far."""
        started = time.monotonic()
        held_out, losses = self._held_out()
        if self._settings.average:
            done.mean = with_another(done.mean, done.epoch, self._network.state_dict())
        done.stale += 1
        if held_out < done.lowest:
            done.lowest, done.best, done.stale = held_out, self._copy(), 0
        line = {"epoch": done.epoch, "loss": done.total / self._batches, "selection_loss": held_out, "heads": losses}
        seconds = round(done.seconds + time.monotonic() - started, 1)
        done.epochs.append(line | {"seconds": seconds})
        done.epoch, done.step, done.total, done.seconds = done.epoch + 1, 0, 0.0, 0.0

    def _held_out(self) -> tuple[float, dict[str, float]]:
        """The loss on the selection rows, over all heads and of each."""
        with autocast(self._network, self._settings.arithmetic):
            losses = selection_losses(self._network, self._inputs, self._rows.selection)
        # The mean of what the processes found, lest rounding makes one of them stop before the others.
        mean = float(np.average(list(losses.values()), weights=[self._weights[head] for head in losses]))
        return self._peers.total(mean, self._device) / self._peers.size, losses

    def _save(self, done: Progressed) -> None:
        self._saved_at = time.monotonic()
        if self._peers.leads:
            state = {"network": self._network.state_dict(), "optimiser": self._optimiser.state_dict()}
            self._folder.save(state | vars(done))

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self._network.state_dict().items()}


def _readers(examples: Sequence[Example], inputs: Inputs) -> list[Numbers]:
    """Of each sequence, the places of those of `examples` that read it: several, if they teach different heads.

    Examples of one head that read the same (lists of tags repeat) stay apart, so that it learns from them as
    often as they occur.
    """
    places: dict[Hashable, list[int]] = {}
    times: Counter[Hashable] = Counter()
    for place, example in enumerate(examples):
        read, head = inputs.read_by(example), example.source.head
        places.setdefault((read, times[read, head]), []).append(place)
        times[read, head] += 1
    return [np.array(one, np.int64) for one in places.values()]
