"""Fitted deciders as files: one safetensors each, with the frame they were fitted in in its header."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from capitoline.fusion.calibrated_most_severe import CalibratedMostSevere
from capitoline.fusion.dawid_skene import DawidSkene
from capitoline.fusion.fitted import FittedDecider, Frame, Tensors
from capitoline.fusion.mlp import Mlp
from capitoline.fusion.stacking import Stacking
from capitoline.fusion.weighted_vote import WeightedVote
from capitoline.modalities.weights import read_arrays, write_weights

KIND = "fusion"

DECIDERS: Mapping[str, Callable[[Frame, Tensors], FittedDecider]] = {
    one.name: one for one in (CalibratedMostSevere, DawidSkene, Mlp, Stacking, WeightedVote)
}
"""Every decider that a file can hold, by the name in its header."""


def write_decider(path: Path, decider: FittedDecider, about: Mapping[str, Any]) -> None:
    """Write a file that `read_decider` reads; `about` says in its header how it came to be."""
    import torch

    frame = decider.frame
    metadata = {
        **about,
        "kind": KIND,
        "decider": decider.name,
        "labels": frame.labels,
        "experts": dict(frame.experts),
        "down_cost": frame.down_cost,
    }
    write_weights(path, {name: torch.from_numpy(one.copy()) for name, one in decider.tensors.items()}, metadata)


def read_decider(path: Path) -> FittedDecider:
    """The decider that a file holds; it decides as the one that was written, to the bit, without PyTorch.

    Raises:
        ValueError: the file cannot be read, holds weights of another kind, or a decider of another version.
    """
    tensors, metadata = read_arrays(path, KIND)
    try:
        # The header is JSON with sorted keys, but the order of the names must not hang on that.
        experts = {name: metadata["experts"][name] for name in sorted(metadata["experts"])}
        frame = Frame(tuple(metadata["labels"]), experts, float(metadata["down_cost"]))
        return DECIDERS[metadata["decider"]](frame, tensors)
    except (KeyError, IndexError) as error:
        raise ValueError(f"{path} does not hold a decider of this version of capitoline: no {error}") from error


def refuse_other_weights(frame: Frame, weights: Mapping[str, str]) -> None:
    """Raises ValueError unless the experts that will be heard are those that the decider was fitted on.

    `weights` are the digests of the experts of a job, by name. An expert that the decider
    knows may be missing: it is then absent from every item.
    """
    if strangers := sorted(weights.keys() - frame.experts.keys()):
        raise ValueError(
            f"the decider was fitted on {', '.join(frame.names)}; it would ignore {', '.join(strangers)}. Remove "
            "them from `experts`, or fit it anew with `capitoline fuse`"
        )
    if others := sorted(name for name, digest in weights.items() if frame.experts[name] != digest):
        raise ValueError(
            f"the decider was fitted on other weights of {', '.join(others)}, whose pre-logits mean something else. "
            "Make features with the new weights and fit it anew with `capitoline fuse`"
        )
