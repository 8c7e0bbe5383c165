"""What a training changes of a network: everything, adapters, the starting state, or the heads alone."""

from __future__ import annotations

from capitoline.configs.training import Training
from capitoline.modalities.networks.sequence import RatingNetwork
from capitoline.modalities.rwkv.lora import adapt, merge
from capitoline.pipelines.training.reasons import ReasonHead

REASONS = "reasons"
"""The head that is there in training only."""


def prepare(network: RatingNetwork, settings: Training) -> None:
    """Freeze what `settings.tuning` does not train, and add what it does."""
    if any(source.reason for source in settings.sources):
        network.add_module(REASONS, ReasonHead(network.shape.width, network.shape.vocabulary))
    if settings.tuning == "full":
        return
    network.body.requires_grad_(False)
    if settings.tuning == "lora":
        adapt(network.body, settings.lora.rank, settings.lora.alpha)
    elif settings.tuning == "state":
        network.tune_state()


def finish(network: RatingNetwork) -> None:
    """Fold adapters into the weights and drop what only training needed: what is shipped is an ordinary network."""
    merge(network.body)
    if hasattr(network, REASONS):
        delattr(network, REASONS)
