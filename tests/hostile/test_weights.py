"""Weights whose training failed, or that were damaged since, rate nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from capitoline.modalities.networks.rater import SequenceRater
from capitoline.modalities.weights import find_weights, read_weights, write_weights

SHIPPED = find_weights("text")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["body.blocks.0.att.v0", "body.blocks.1.ffn.key.weight", "body.emb.weight"])
def test_weights_with_values_that_are_no_numbers_are_refused_by_name(name: str, value: float, tmp_path: Path) -> None:
    tensors, metadata = read_weights(SHIPPED, "text")
    tensors[name] = tensors[name].float().clone()
    tensors[name].view(-1)[-1] = value
    path = tmp_path / "text.safetensors"
    write_weights(path, tensors, metadata)
    with pytest.raises(ValueError, match=f"{path}: {name} holds values that are no numbers"):
        SequenceRater(path, "text")
