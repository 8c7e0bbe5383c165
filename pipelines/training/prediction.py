"""What a network in training says about examples, and how well it is calibrated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from capitoline.modalities.networks.heads import fit_temperature
from capitoline.modalities.networks.losses import LINKS, UNKNOWN, ordinal_loss
from capitoline.modalities.networks.ordinal import decide
from capitoline.modalities.networks.sequence import RatingNetwork, pack
from capitoline.pipelines.evaluation.calibration import calibration_error
from capitoline.pipelines.evaluation.metrics import confusion, macro_f1
from capitoline.pipelines.training.corpus import by_head
from capitoline.pipelines.training.dataset import Example, targets_of
from capitoline.pipelines.training.inputs import Inputs
from capitoline.pipelines.training.wide import WideHalf

COSTS = tuple(float(cost) for cost in np.geomspace(1 / 8, 8, 25))

BATCH = 128
"""Examples read at once."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one head, on the selection rows."""

    temperature: float
    before: float
    """Expected calibration error with a temperature of 1."""
    after: float
    rows: int
    """Known levels: one an axis an example at most."""


@torch.inference_mode()
def predict(
    network: RatingNetwork, inputs: Inputs, examples: Sequence[Example], head: str, wide: WideHalf | None = None
) -> Tensor:
    """(N, A, K-1) logits of `head`, in main memory, as an expert would compute them."""
    network.eval()
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(examples), BATCH):
        packed = pack([inputs.sequence(one, None) for one in examples[start : start + BATCH]])
        pooled = network(*(one.to(device) for one in packed))
        with torch.autocast(device.type, enabled=False):
            parts.append(network.head(head)(pooled)[0].float().cpu())
    logits = torch.cat(parts)
    return logits if wide is None else wide.added(logits, inputs, examples, head)


def selection_losses(network: RatingNetwork, inputs: Inputs, examples: Sequence[Example]) -> dict[str, float]:
    """Of each head the loss that is left once the temperature is fitted.

    A net that has learned more is often over-confident first; the temperature repairs that.
    """
    losses = {}
    for head, of_head in by_head(examples).items():
        logits, truth = predict(network, inputs, of_head, head), torch.from_numpy(targets_of(of_head))
        loss = network.head(head).shape.loss
        temperature = fit_temperature(logits, truth, loss)
        losses[head] = float(ordinal_loss(logits / temperature, truth, torch.ones(truth.shape), _score(loss)))
    return losses


def calibrate(
    network: RatingNetwork,
    inputs: Inputs,
    examples: Sequence[Example],
    fitted: Collection[str] = (),
    wide: WideHalf | None = None,
) -> dict[str, Calibration]:
    """Give each head the temperature that suits the selection rows, and those in `fitted` the cost too."""
    found = {}
    for head, of_head in by_head(examples).items():
        logits, truth = predict(network, inputs, of_head, head, wide), torch.from_numpy(targets_of(of_head))
        shape = network.head(head).shape
        temperature = fit_temperature(logits, truth, shape.loss)
        network.head(head).temperature.fill_(temperature)
        if head in fitted:
            cost = _best_cost(LINKS[shape.link](logits / temperature).exp()[:, 0], truth[:, 0])
            network.head(head).shape = replace(shape, down_cost=cost)
        before, after = (_error(LINKS[shape.link](logits / one).exp(), truth) for one in (1.0, temperature))
        found[head] = Calibration(temperature, before, after, int((truth != UNKNOWN).sum()))
    return found


def _best_cost(probabilities: Tensor, truth: Tensor) -> float:
    """Of (N, K) and (N,), all known: the cost of a level too mild at which decisions have the greatest macro-F1."""
    known = probabilities.numpy().astype(np.float32), truth.numpy()
    levels = probabilities.shape[1]
    return max(COSTS, key=lambda cost: macro_f1(confusion(known[1], decide(known[0], cost), levels)))


def _score(loss: str) -> str:
    """Heads are compared by likelihood: soft labels leave a loss that no net can take away."""
    return "cross_entropy" if loss == "soft" else loss


def _error(probabilities: Tensor, truth: Tensor) -> float:
    """(N, A, K) and (N, A) → expected calibration error over all known levels."""
    known = truth != UNKNOWN
    return calibration_error(probabilities[known].numpy().astype(np.float32), truth[known].numpy())
