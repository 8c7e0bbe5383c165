"""What the weight files of baselines have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from capitoline.configs.training import Training
from capitoline.modalities.networks.ordinal import HeadShape


def common_metadata(settings: Training, shapes: Mapping[str, HeadShape]) -> dict[str, Any]:
    """What `evaluate` needs to know of any weights, and where they come from."""
    return {
        "kind": settings.kind,
        "model": settings.model,
        "labels": settings.labels,
        "down_cost": settings.down_cost,
        "heads": {name: asdict(shape) for name, shape in shapes.items()},
        "seed": settings.seed,
        "sources": [source.model_dump(include={"file", "head", "licence"}) for source in settings.sources],
    }


def bytes_of(text: str) -> Tensor:
    """UTF-8 as a tensor of bytes: a safetensors file holds tensors only, and its header is no place for megabytes."""
    return torch.from_numpy(np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).copy())


def text_of(tensor: Tensor) -> str:
    return tensor.numpy().tobytes().decode("utf-8", "surrogatepass")
