"""Official RWKV-7 checkpoints: `.pth` (tensors only, nothing in it is executed) and safetensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.size import Size

UNUSED = ("blocks.0.att.v0", "blocks.0.att.v1", "blocks.0.att.v2")
"""In most official files, missing from some; nothing reads them."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name, memory-mapped.

    Raises:
        ValueError: the file cannot be read, or holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"cannot read the checkpoint {path}: {error}") from error
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ValueError(f"{path} is not a checkpoint: it must hold tensors by name and nothing else")
    return loaded


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write safetensors or `.pth`, by the suffix. Only safetensors keep metadata."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if path.suffix == ".safetensors":
        save_file(contiguous, path, dict(metadata) if metadata else None)
    else:
        torch.save(contiguous, path)


def size_of(tensors: Mapping[str, Tensor]) -> Size:
    """The shape of the model that these tensors belong to.

    Raises:
        ValueError: they are not those of an RWKV-7 model.
    """
    try:
        layers = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
        last = f"blocks.{layers - 1}.att."
        heads, head_size = tensors[f"{last}r_k"].shape
        value_rank = tensors[f"{last}v1"].shape[1] if f"{last}v1" in tensors else 0
        return Size(
            vocabulary=tensors["emb.weight"].shape[0] if "emb.weight" in tensors else 0,
            width=heads * head_size,
            layers=layers,
            feed_forward=tensors["blocks.0.ffn.key.weight"].shape[0],
            head_size=head_size,
            decay_rank=tensors[f"{last}w1"].shape[1],
            rate_rank=tensors[f"{last}a1"].shape[1],
            value_rank=value_rank,
            gate_rank=tensors[f"{last}g1"].shape[1],
        )
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f"these tensors are not an RWKV-7 (x070) model: {error}") from error


def model_of(tensors: Mapping[str, Tensor]) -> RWKV7:
    """A float32 model with these weights, which it shares where they are float32 already.

    It has a language head if they have one.

    Raises:
        ValueError: names or shapes are not those of an RWKV-7 model.
    """
    size = size_of(tensors)
    with torch.device("meta"):  # nothing is initialised, only to be replaced
        model = RWKV7(size, language_head="head.weight" in tensors)
    shapes = {name: own.shape for name, own in model.state_dict().items()}
    given = {name: torch.zeros(shapes[name]) for name in UNUSED}
    try:
        given |= {name: tensor.float().reshape(shapes[name]) for name, tensor in tensors.items()}
        model.load_state_dict(given, assign=True)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"these tensors do not fit an RWKV-7 model: {error}") from error
    return model.requires_grad_()


def load_model(path: Path) -> RWKV7:
    """The model of a checkpoint file. Raises ValueError as `read_tensors` and `model_of` do."""
    return model_of(read_tensors(path))
