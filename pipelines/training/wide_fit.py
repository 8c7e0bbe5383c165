"""Fits the linear half of text heads, and how much each half has to say.

The linear half learns from the training rows by itself, a logistic regression for each step of each
head; being convex, it needs no choice of epoch. What it and the trunk's half then weigh is fitted on
the selection rows, which neither has learned from: on its own rows each would be believed too much.

Legend:  N = windows of texts, A = axes of a head, K = its levels, F = buckets of n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor

from capitoline.configs.training import WideSettings
from capitoline.modalities.language.ngrams import Counts, NGrams
from capitoline.modalities.language.vocabulary import Tokens, Vocabulary
from capitoline.modalities.language.wide import inverse_frequencies, tfidf
from capitoline.modalities.networks.heads import OrdinalHead
from capitoline.modalities.networks.losses import UNKNOWN, ordinal_loss
from capitoline.modalities.networks.sequence import RatingNetwork
from capitoline.pipelines.training.corpus import Rows, Targets, by_head
from capitoline.pipelines.training.dataset import Example, targets_of
from capitoline.pipelines.training.inputs import Inputs
from capitoline.pipelines.training.prediction import predict
from capitoline.pipelines.training.wide import WideHalf

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = npt.NDArray[np.float32]

PIECE = 2_000
"""Windows whose n-grams are counted at once."""

RIDGE = 1e-3
"""Penalty on the squared shifts of the mixture, in nats: small heads have a hundred selection rows."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Of one head: logits = terms · weight + bias."""

    weight: Array
    """(A × (K-1), F)."""
    bias: Array
    """(A × (K-1),)."""


def fit_wide(network: RatingNetwork, rows: Rows, inputs: Inputs, taught: Targets, settings: WideSettings) -> WideHalf:
    """Learn the linear halves of `settings.heads`, and scale them and the heads of `network` to be added."""
    spellings = Vocabulary(inputs.tensors()["vocabulary"].tolist()).spellings()
    terms = Terms(rows.train, inputs, NGrams(spellings, settings.bits), settings)
    learned = {head: _regress_head(network.head(head), head, terms, taught, settings) for head in settings.heads}
    alone = WideHalf(terms.idf, {head: one.weight for head, one in learned.items()}, spellings)
    selection = by_head(rows.selection)
    weights = {}
    for head, linear in learned.items():
        deep = predict(network, inputs, selection[head], head).clone()  # a tensor of inference can have no gradient
        truth = torch.from_numpy(targets_of(selection[head]))
        bias = torch.from_numpy(linear.bias).expand(len(deep), -1).view(deep.shape)
        wide = alone.added(bias, inputs, selection[head], head)
        share = _mix(network.head(head), deep, wide, truth, linear.bias)
        weights[head] = linear.weight * np.float32(share)
    return WideHalf(terms.idf, weights, spellings)


class Terms:
    """TF-IDF of every window of the training rows, in one sparse matrix."""

    def __init__(self, examples: Sequence[Example], inputs: Inputs, ngrams: NGrams, settings: WideSettings) -> None:
        from scipy.sparse import csr_array

        windows = [inputs.served(one) for one in examples]
        self.owners = np.repeat(np.arange(len(examples)), [len(one) for one in windows])
        """(N,) the example that each window is of."""
        counts = _counted([one for of_example in windows for one in of_example], ngrams)
        frequencies = np.bincount(counts.buckets, minlength=1 << settings.bits)
        self.idf = inverse_frequencies(frequencies, len(self.owners), settings.least)
        values = tfidf(counts, self.idf, len(self.owners))
        self.matrix = csr_array((values, (counts.owners, counts.buckets)), (len(self.owners), 1 << settings.bits))
        """(N, F)."""
        self.shares = (1 / np.bincount(self.owners))[self.owners]
        """(N,) of its example that each window is."""


def _counted(windows: Sequence[Tokens], ngrams: NGrams) -> Counts:
    """As `ngrams` does, a piece at a time: letters of a million windows have more n-grams than memory has room."""
    pieces = []
    for start in track(range(0, len(windows), PIECE), "n-grams"):
        counts = ngrams(windows[start : start + PIECE])
        pieces.append((counts.owners + start, counts.buckets, counts.counts))
    return Counts(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def _regress_head(head: OrdinalHead, name: str, terms: Terms, taught: Targets, settings: WideSettings) -> Linear:
    """A logistic regression for each axis and step k: above level k, of what is at least there."""
    number = list(taught.heads).index(name)
    own = taught.head_of[terms.owners] == number
    steps = []
    for axis in range(len(head.shape.axes)):
        severities, weights = (one[terms.owners, axis] for one in (taught.severities, taught.weights))
        for step in track(range(len(head.shape.levels) - 1), f"n-grams: {name}"):
            reach = np.flatnonzero(own & (severities >= step) & (severities != UNKNOWN))
            shares = weights[reach] * terms.shares[reach]
            steps.append(_regress(terms.matrix[reach], severities[reach] > step, shares, settings))
    weight, bias = zip(*steps, strict=True)
    return Linear(np.stack(weight), np.array(bias, np.float32))


def _regress(
    terms: csr_array, above: npt.NDArray[np.bool_], shares: Any, settings: WideSettings
) -> tuple[Array, float]:
    """Weight (F,) and bias; nothing where all rows are on one side."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(above)) < 2:
        return np.zeros(1 << settings.bits, np.float32), 0.0
    model = LogisticRegression(C=settings.looseness, max_iter=200).fit(terms, above, shares / shares.mean())
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def _mix(head: OrdinalHead, deep: Tensor, wide: Tensor, truth: Tensor, bias: Array) -> float:
    """Scale and shift `head` so that its logits are to be added to the linear half's; the scale of that half."""
    shares = torch.full((2,), 0.5, requires_grad=True)
    shifts = torch.zeros(deep.shape[1:], requires_grad=True)
    optimiser = torch.optim.LBFGS([shares, shifts], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = shares[0] * deep + shares[1] * wide + shifts
        found = ordinal_loss(logits, truth, torch.ones(truth.shape), head.shape.loss) + RIDGE * shifts.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    of_deep, of_wide = shares.detach().tolist()
    with torch.no_grad():
        head.logits.weight.mul_(of_deep)
        head.logits.bias.mul_(of_deep).add_(shifts.detach().flatten() + of_wide * torch.from_numpy(bias))
    return float(of_wide)
