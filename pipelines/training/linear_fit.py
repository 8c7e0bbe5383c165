"""Fits the linear half of the heads of pictures, which reads the mean of the vectors that go in.

Two thousand posters are few for a network. What a ridge regression reads from one, in closed form, errs
otherwise than what the network reads, and both together err less. It learns in two steps (stacked
generalisation, doi:10.1016/S0893-6080(05)80023-1): from the picture to all that any head says of it, the
genres among them; from those answers to the rating. What a head is asked of a picture that taught it is answered
by a regression that left the picture out, lest the second step trusts memory. Both steps are linear, so what is
kept is one matrix.

Legend:  N = pictures that teach a head, V = width of what is read, Q = questions: a level of an axis of a
         head is reached or not.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from capitoline.configs.training import LinearSettings
from capitoline.modalities.networks.heads import OrdinalHead
from capitoline.modalities.networks.losses import UNKNOWN
from capitoline.modalities.networks.rater import means
from capitoline.modalities.networks.sequence import RatingNetwork
from capitoline.modalities.rwkv.steps import normalised
from capitoline.pipelines.training.corpus import Rows, Targets, by_head
from capitoline.pipelines.training.dataset import Example, targets_of
from capitoline.pipelines.training.inputs import Inputs

Array = npt.NDArray[Any]

SHARE = 0.5
"""Of the linear half in the logits; the rows held out for a choice are too few to fit it."""


def fit_linear(network: RatingNetwork, rows: Rows, inputs: Inputs, taught: Targets, settings: LinearSettings) -> None:
    """Give the heads that `settings` names a linear half, learned from the training rows."""
    examples = by_head(rows.train)
    read = {name: _read(inputs, of_head) for name, of_head in examples.items()}
    questions = {
        name: Questions.of(read[name], _reached(network.head(name), of_head), settings.penalty)
        for name, of_head in examples.items()
    }
    pictures = {name: [inputs.read_by(one) for one in of_head] for name, of_head in examples.items()}
    for name in settings.heads:
        answers = [one.of_new(read[name], pictures[name], pictures[head]) for head, one in questions.items()]
        own = taught.head_of == list(taught.heads).index(name)
        weights = taught.weights[own, : taught.heads[name]]
        steps = _steps(np.hstack(answers), _reached(network.head(name), examples[name]), weights, settings.looseness)
        _add(network.head(name), steps, list(questions.values()))


def _read(inputs: Inputs, examples: Sequence[Example]) -> Array:
    """(N, V): what the heads see of the mean of each example's vectors."""
    sequences = (inputs.sequence(one, None) for one in examples)
    return np.concatenate([normalised(means(one, np.array([0, len(one)]))) for one in sequences])


def _reached(head: OrdinalHead, examples: Sequence[Example]) -> Array:
    """(N, A × (K-1)): 1 where an axis is above a level, 0 where it is not, NaN where it is unknown."""
    truth = targets_of(examples)[:, :, None]
    above = np.where(truth == UNKNOWN, np.nan, truth > np.arange(len(head.shape.levels) - 1))
    return above.reshape(len(truth), -1)


@dataclass(frozen=True, slots=True)
class Questions:
    """A ridge regression of Q questions, answered by reading · weight + bias."""

    weight: Array
    """(V, Q)."""
    bias: Array
    """(Q,)."""
    left_out: Array
    """(N, Q) answers to its own pictures, each by a regression that left that picture out."""

    def __call__(self, read: Array) -> Array:
        return np.asarray(read @ self.weight + self.bias)

    def of_new(self, read: Array, pictures: Sequence[Hashable], own: Sequence[Hashable]) -> Array:
        """(M, Q) answers to M pictures, those among its `own` (N,) by the regression that left them out."""
        rows = {picture: row for row, picture in enumerate(own)}
        said = self(read)
        known = [number for number, picture in enumerate(pictures) if picture in rows]
        said[known] = self.left_out[[rows[pictures[number]] for number in known]]
        return said

    @staticmethod
    def of(read: Array, reached: Array, penalty: float) -> Questions:
        """Of (N, V) and (N, Q). An unknown answer counts as the mean of the known ones.

        Leaving a picture out needs no regression of its own: its residual grows by 1 / (1 - h), h being its
        entry on the diagonal of the projection (Allen 1974, doi:10.1080/00401706.1974.10489157).
        """
        centre, middle = read.mean(0), np.nanmean(reached, 0)
        away = (read - centre).astype(np.float64)
        values, vectors = np.linalg.eigh(away @ away.T)
        kept = np.maximum(values, 0.0)
        ridge = penalty * float(kept.mean())
        targets = np.where(np.isnan(reached), 0.0, reached - middle)
        turned = vectors.T @ targets
        said = vectors @ ((kept / (kept + ridge))[:, None] * turned)
        own = (vectors**2 @ (kept / (kept + ridge)))[:, None]
        weight = away.T @ (vectors @ (turned / (kept + ridge)[:, None]))
        return Questions(weight, middle - centre @ weight, (said - own * targets) / (1.0 - own) + middle)


def _steps(answers: Array, reached: Array, weights: Array, looseness: float) -> list[Step]:
    """Of (N, Q) answers, (N, A × (K-1)) levels and (N, A) weights: for each axis and step k, in that order."""
    levels = reached.shape[1] // weights.shape[1]
    found = []
    for number, above in enumerate(reached.T):
        axis, step = divmod(number, levels)
        reach = ~np.isnan(above) & ((step == 0) | (reached[:, number - 1] == 1))
        found.append(Step.of(answers[reach], above[reach], weights[reach, axis], looseness))
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """Log-odds of being above a level, of what is at least there: answers · weight + bias."""

    weight: Array
    """(Q,)."""
    bias: float
    known: bool
    """Whether there was anything to learn: rows on both sides."""

    @staticmethod
    def of(answers: Array, above: Array, shares: Array, looseness: float) -> Step:
        from sklearn.linear_model import LogisticRegression

        if len(np.unique(above)) < 2:
            return Step(np.zeros(answers.shape[1]), 0.0, known=False)
        deviation = answers.std(0)
        spread = np.where(deviation > 1e-6, deviation, np.inf)
        model = LogisticRegression(C=looseness, max_iter=500).fit(answers / spread, above, shares / shares.mean())
        return Step(model.coef_[0] / spread, float(model.intercept_[0]), known=True)


def _add(head: OrdinalHead, steps: Sequence[Step], questions: Sequence[Questions]) -> None:
    """Put `steps` beside what `head` learned, as one matrix on what is read."""
    weight, bias = np.hstack([one.weight for one in questions]), np.concatenate([one.bias for one in questions])
    shares = torch.tensor([1.0 - SHARE * one.known for one in steps])
    shifts = torch.tensor([SHARE * (float(bias @ one.weight) + one.bias) for one in steps])
    with torch.no_grad():
        head.logits.weight.mul_(shares[:, None])
        head.logits.bias.mul_(shares).add_(shifts)
    head.linear = torch.from_numpy(np.stack([SHARE * weight @ one.weight for one in steps]).astype(np.float32))
