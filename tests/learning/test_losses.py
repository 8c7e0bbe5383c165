"""The losses against their definitions, a level at a time, with gradients."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from capitoline.modalities.networks.losses import LINKS, SHARPNESS, ordinal_loss, penalties, soft_labels
from capitoline.modalities.networks.ordinal import LINK_OF
from capitoline.modalities.networks.ordinal import LINKS as PLAIN_LINKS

LEVELS = 5
AXES = 3


def _logits(link: str, rows: int = 6) -> Tensor:
    """(B, A, K-1) of a size that does not round; those of a cumulative link fall."""
    logits = 2 * torch.randn(rows, AXES, LEVELS - 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return logits.sort(-1, descending=True).values if link == "cumulative" else logits


def _sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def _naive_probabilities(link: str, logits: Tensor) -> Tensor:
    """(K-1,) → (K,), straight from the definition of the link."""
    if link == "softmax":
        powers = torch.cat((torch.ones(1, dtype=logits.dtype), torch.exp(logits)))
        return powers / powers.sum()
    above = _sigmoid(logits)
    if link == "cumulative":
        ends = torch.ones(1, dtype=logits.dtype), torch.zeros(1, dtype=logits.dtype)
        steps = torch.cat((ends[0], above, ends[1]))
        return torch.stack([upper - lower for upper, lower in pairwise(steps)])
    reached, found = torch.ones((), dtype=logits.dtype), []
    for step in above:
        found.append(reached * (1 - step))
        reached = reached * step
    return torch.stack([*found, reached])


def _naive_loss(loss: str, logits: Tensor, targets: Tensor, weights: Tensor, down_cost: float) -> Tensor:
    """Row by row, axis by axis, level by level."""
    total, weight = torch.zeros((), dtype=logits.dtype), 0.0
    for row in range(len(logits)):
        for axis in range(AXES):
            target = int(targets[row, axis])
            if target < 0:
                continue
            probabilities = _naive_probabilities(LINK_OF[loss], logits[row, axis])
            shares = [float(level == target) for level in range(LEVELS)]
            if loss == "soft":
                costs = [
                    (level - target) if level >= target else down_cost * (target - level) for level in range(LEVELS)
                ]
                powers = [math.exp(-SHARPNESS * cost) for cost in costs]
                shares = [power / sum(powers) for power in powers]
            own = float(weights[row, axis])
            total = total - own * sum(
                share * torch.log(probability) for share, probability in zip(shares, probabilities, strict=True)
            )
            weight += own
    return total / weight


@pytest.mark.parametrize("loss", LINK_OF)
def test_a_loss_and_its_gradient_are_those_of_its_definition(loss: str) -> None:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(-1, LEVELS, (6, AXES), generator=generator)
    weights = torch.rand(6, AXES, generator=generator, dtype=torch.float64)
    fast, naive = (_logits(LINK_OF[loss]).requires_grad_() for _ in range(2))
    ours = ordinal_loss(fast, targets, weights, loss, 1.5)
    expected = _naive_loss(loss, naive, targets, weights, 1.5)
    torch.testing.assert_close(ours, expected)
    ours.backward()  # type: ignore[no-untyped-call]
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(fast.grad, naive.grad)


@pytest.mark.parametrize("loss", LINK_OF)
def test_an_unknown_target_has_no_part_in_the_loss_and_none_in_the_gradient(loss: str) -> None:
    logits = _logits(LINK_OF[loss]).requires_grad_()
    targets = torch.full((6, AXES), -1)
    targets[2, 1] = 3
    alone = penalties(loss, logits[2, 1], torch.tensor(3))
    ordinal_loss(logits, targets, torch.ones(6, AXES), loss).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ordinal_loss(logits, targets, torch.ones(6, AXES), loss), alone)
    assert logits.grad is not None
    touched = logits.grad.abs().sum(-1) > 0
    assert touched.nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize("loss", LINK_OF)
def test_nothing_known_gives_no_loss_rather_than_none_at_all(loss: str) -> None:
    assert ordinal_loss(_logits(LINK_OF[loss]), torch.full((6, AXES), -1), torch.ones(6, AXES), loss) == 0


@pytest.mark.parametrize("link", LINKS)
def test_every_link_gives_a_distribution_and_the_same_without_torch(link: str) -> None:
    logits = (30 * _logits(link)).float()
    probabilities = LINKS[link](logits).exp()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(6, AXES))
    np.testing.assert_allclose(PLAIN_LINKS[link](logits.numpy()), probabilities.numpy(), atol=1e-6)


def test_soft_labels_lean_to_the_severe_side_where_mildness_costs_more() -> None:
    even, leaning = soft_labels(torch.tensor(2), LEVELS, 1.0), soft_labels(torch.tensor(2), LEVELS, 2.0)
    torch.testing.assert_close(even, even.flip(0))
    assert leaning.argmax() == 2
    assert leaning[3] > leaning[1]
    assert leaning[0] < even[0]
