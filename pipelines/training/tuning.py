"""What a training changes of a network: everything, adapters, the starting state, or the heads alone."""

from __future__ import annotations

from capitoline.configs.training import Training
from capitoline.modalities.rwkv.lora import adapt, merge
from capitoline.modalities.sequence import RatingNetwork


def prepare(network: RatingNetwork, settings: Training) -> None:
    """Freeze what `settings.tuning` does not train, and add what it does."""
    if settings.tuning == "full":
        return
    network.body.requires_grad_(False)
    network.projector.requires_grad_(not settings.start)  # one that nothing has taught yet must learn
    if settings.tuning == "lora":
        adapt(network.body, settings.lora.rank, settings.lora.alpha)
    elif settings.tuning == "state":
        network.tune_state()


def finish(network: RatingNetwork) -> None:
    """Fold adapters into the weights, so that what is shipped is an ordinary network."""
    merge(network.body)
