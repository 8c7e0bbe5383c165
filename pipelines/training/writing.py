"""The last step of a training: the weight file and its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from capitoline.configs.training import Training
from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.networks.sequence import RatingNetwork, network_metadata
from capitoline.modalities.weights import SCALE, quantised, write_weights
from capitoline.pipelines.training.card import write_card
from capitoline.pipelines.training.corpus import Rows
from capitoline.pipelines.training.inputs import Inputs
from capitoline.pipelines.training.prediction import Calibration
from capitoline.pipelines.training.report import report
from capitoline.pipelines.training.starts import EMBEDDING
from capitoline.pipelines.training.wide import WideHalf

Fold = tuple[int, int]
"""(k, K): the rows of fold k of K were left out."""


def write(
    path: Path,
    network: RatingNetwork,
    rows: Rows,
    inputs: Inputs,
    settings: Training,
    calibration: Mapping[str, Calibration],
    epochs: int,
    fold: Fold | None,
    wide: WideHalf | None,
) -> None:
    """Write the weights, rate the validation rows with that very file, write figures and card.

    The file gets its name last: it is there exactly if the run is done.
    """
    tensors = stored(network, settings.embedding)
    tensors |= {name: torch.from_numpy(array) for name, array in inputs.tensors().items()}
    tensors |= _compact(wide.tensors()) if wide else {}
    metadata: dict[str, Any] = {
        "kind": settings.kind,
        "labels": settings.labels,
        "down_cost": settings.down_cost,
        "seed": settings.seed,
        "start": settings.start,
        "tuning": settings.tuning,
        "epochs": epochs,
        "embedding": settings.embedding,
        "sources": [source.model_dump(include={"file", "head", "licence"}) for source in settings.sources],
        "calibration": {name: asdict(one) for name, one in calibration.items()},
        **({"fold": list(fold)} if fold else {}),
        **({"wide": settings.wide.model_dump()} if settings.wide else {}),
        **({"linear": settings.linear.model_dump()} if settings.linear else {}),
        **network_metadata(network),
        **inputs.metadata(),
    }

    def write_and_rate(temporary: Path) -> None:
        write_weights(temporary, tensors, metadata)
        figures = report(temporary, settings, rows.validation, inputs)
        validation = {name: one.as_json() for name, one in figures.items()}
        write_card(path.with_suffix(".md"), settings, metadata, figures, len(rows.train))
        write_weights(temporary, tensors, metadata | {"validation": validation})

    write_atomically(path, write_and_rate)


def _compact(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices in int8, each row of it with a scale of its own; vectors in float16."""
    compact = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 1:
            compact[name] = tensor.half()
        else:
            compact[name], compact[name + SCALE] = quantised(tensor)
    return compact


def stored(network: RatingNetwork, embedding: str) -> dict[str, Tensor]:
    """As they are stored: bfloat16, the table of tokens perhaps in int8."""
    tensors = network.state_dict()
    halves = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    if embedding == "int8" and EMBEDDING in tensors:
        halves[EMBEDDING], halves[EMBEDDING + SCALE] = quantised(tensors[EMBEDDING])
    return halves
