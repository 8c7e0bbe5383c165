"""Losses for ordered levels, by the names that a training's YAML gives them.

Each is a *link*, which makes log-probabilities of K-1 logits, and a penalty on those. All are
proper distributions over the levels, so heads taught by different losses are calibrated, decided
and measured alike. A target of -1 is unknown: it weighs nothing.

Legend:  … = any leading axes (a batch, its axes), K = levels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from capitoline.modalities.networks.ordinal import LINK_OF

UNKNOWN = -1
"""The target of an axis that nobody judged."""

SHARPNESS = 2.0
"""Nats that a level of distance takes off a soft label: the neighbour of the true level gets a seventh of its share."""


def log_probabilities(logits: Tensor) -> Tensor:
    """Continuation ratios, the model of CORN (arXiv:2111.08851): (…, K-1) → (…, K).

    Logit k is the log-odds that the severity is above k, given that it is at least k. The K-1
    conditional decisions multiply to a distribution, whatever the logits are.
    """
    above = F.logsigmoid(logits).cumsum(-1)
    stays = F.logsigmoid(-logits)
    reached = F.pad(above[..., :-1], (1, 0))
    return torch.cat((reached + stays, above[..., -1:]), dim=-1)


def cumulative(logits: Tensor) -> Tensor:
    """Cumulative link (McCullagh 1980, doi:10.1111/j.2517-6161.1980.tb01109.x): (…, K-1) → (…, K).

    Logit k is the log-odds that the severity is above k; the logits must fall with k. Of two
    neighbours, sigmoid(u) - sigmoid(v) = sigmoid(u) sigmoid(-v) (1 - exp(v - u)), which does not cancel.
    """
    above, below = F.logsigmoid(logits), F.logsigmoid(-logits)
    gap = (logits[..., :-1] - logits[..., 1:]).clamp(min=1e-6)
    between = above[..., :-1] + below[..., 1:] + torch.log(-torch.expm1(-gap))
    return torch.cat((below[..., :1], between, above[..., -1:]), dim=-1)


def softmax(logits: Tensor) -> Tensor:
    """Multinomial logits against the mildest level, whose logit is 0: (…, K-1) → (…, K)."""
    return F.log_softmax(F.pad(logits, (1, 0)), dim=-1)


LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "continuation": log_probabilities,
    "cumulative": cumulative,
    "softmax": softmax,
}


def likelihood(chances: Tensor, targets: Tensor, down_cost: float) -> Tensor:
    """Negative log-likelihood (…) of `targets` (…) under log-probabilities (…, K).

    A proper score, so `down_cost` does not enter: it would bend the probabilities that the decision
    weighs with it once more.
    """
    return -chances.gather(-1, targets[..., None]).squeeze(-1)


def soft_likelihood(chances: Tensor, targets: Tensor, down_cost: float) -> Tensor:
    """Cross-entropy (…) against soft labels (SORD, arXiv:1901.07884) that fall with the cost of a level."""
    return -(soft_labels(targets, chances.shape[-1], down_cost) * chances).sum(-1)


def soft_labels(targets: Tensor, levels: int, down_cost: float) -> Tensor:
    """(…, K): softmax of minus the distance to the target, a level too mild being `down_cost` times as far."""
    distance = torch.arange(levels, device=targets.device) - targets[..., None]
    cost = torch.where(distance < 0, -down_cost * distance, distance.float())
    return torch.softmax(-SHARPNESS * cost, dim=-1)


PENALTIES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "corn": likelihood,
    "cumulative": likelihood,
    "soft": soft_likelihood,
    "cross_entropy": likelihood,
}
assert PENALTIES.keys() == LINK_OF.keys()


def penalties(loss: str, logits: Tensor, targets: Tensor, down_cost: float = 1.0) -> Tensor:
    """What `loss` takes for each of `targets` (…) int64 under logits (…, K-1); anything where it is unknown."""
    return PENALTIES[loss](LINKS[LINK_OF[loss]](logits), targets.clamp(min=0), down_cost)


def ordinal_loss(
    logits: Tensor, targets: Tensor, weights: Tensor, loss: str = "corn", down_cost: float = 1.0
) -> Tensor:
    """Mean penalty over the known `targets` (…), weighted by `weights` (…); 0 if none is known."""
    known = weights * (targets != UNKNOWN)
    return (penalties(loss, logits, targets, down_cost) * known).sum() / known.sum().clamp(min=1e-12)
