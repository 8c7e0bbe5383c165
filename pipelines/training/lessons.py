"""Lessons: what teachers answer about a text is learned beside its labels (knowledge distillation, arXiv:1503.02531).

A label says one level; an answer says how near the others are, and every head of a teacher has one for every text.

Legend:  N = texts that were asked about, S = sequences of a step, A = axes of a head, K = its levels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from capitoline.configs.training import LessonSettings
from capitoline.modalities.networks.losses import LINKS
from capitoline.modalities.networks.sequence import RatingNetwork


@dataclass(frozen=True, slots=True)
class Answers:
    """What teachers say about texts."""

    places: Mapping[str, int]
    """Text → its row among the N."""
    probabilities: Mapping[str, Tensor]
    """Head → (N, A, K); all 0 where no teacher was asked."""

    @staticmethod
    def mean_of(testimonies: Sequence[tuple[Sequence[str], Mapping[str, Tensor]]]) -> Answers:
        """The mean of several teachers' answers, each about texts of its own by heads of its own."""
        texts = sorted({text for asked, _ in testimonies for text in asked})
        places = {text: place for place, text in enumerate(texts)}
        heads = sorted({head for _, said in testimonies for head in said})
        means = {}
        for head in heads:
            own = [(asked, said[head]) for asked, said in testimonies if head in said]
            total = own[0][1].new_zeros(len(texts), *own[0][1].shape[1:])
            for asked, said in own:
                total[[places[text] for text in asked]] += said
            # Each answer sums to 1, so the sum of a row is the number of those who answered.
            means[head] = total / total.sum(-1, keepdim=True).clamp(min=1.0)
        return Answers(places, means)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a step may learn of one sequence."""

    text: str
    labelled: Collection[str]
    """Heads that have a label of it."""
    weight: float
    """As of the rows that it stands for."""


class Lessons:
    """The loss of a network against its teachers' answers."""

    def __init__(self, answers: Answers, settings: LessonSettings, weights: Mapping[str, float]) -> None:
        self._answers, self._settings = answers, settings
        self._weights = weights
        self._asked = {head: said.flatten(1).any(1).tolist() for head, said in answers.probabilities.items()}

    def loss(self, network: RatingNetwork, pooled: Tensor, batch: Sequence[Lesson], own: slice = slice(None)) -> Tensor:
        """Of pooled (S', P), this process's `own` part of the S sequences of a step; its part of the whole's loss.

        The answers of a head are weighed as its labels are: a weighted mean, by the head's share of the batch.
        """
        loss = pooled.new_zeros(())
        for head, answers in self._answers.probabilities.items():
            shares = self._shares(head, batch)[own]
            (rows,) = shares.nonzero(as_tuple=True)
            if not len(rows):
                continue
            places = [self._answers.places[batch[own][row].text] for row in rows.tolist()]
            logits, _ = network.head(head)(pooled[rows.to(pooled.device)])
            chances = LINKS[network.head(head).shape.link](logits)
            each = divergences(chances, answers[places].to(pooled.device), self._settings.temperature)
            loss = loss + (shares[rows].to(pooled.device) * each).sum() * self._weights[head]
        return loss

    def _shares(self, head: str, batch: Sequence[Lesson]) -> Tensor:
        """(S,) of the loss that each sequence's answer has; 0 where there is none."""
        rows = [self._answers.places.get(one.text) for one in batch]
        known = torch.tensor([row is not None and self._asked[head][row] for row in rows])
        labelled = torch.tensor([head in one.labelled for one in batch])
        weights = torch.tensor([one.weight for one in batch])
        shares = torch.zeros(len(batch))
        for these, factor in ((known & labelled, 1.0), (known & ~labelled, self._settings.elsewhere)):
            total = (weights * these).sum().clamp(min=1e-12)
            shares += factor * weights * these / total * these.sum() / len(batch)
        return self._settings.weight * shares


def divergences(chances: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """(S,) Kullback–Leibler divergences, mean over axes, of log-probabilities (S, A, K) from answers (S, A, K).

    Both are flattened by the temperature; its square keeps the size of the gradients (Hinton et al., section 2).
    """
    flat = torch.log_softmax(chances / temperature, -1)
    wanted = torch.log_softmax(answers.clamp(min=1e-6).log() / temperature, -1)
    each = (wanted.exp() * (wanted - flat)).sum(-1)
    return each.mean(-1) * temperature**2
