"""What rates without PyTorch gives what the network that was trained gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from capitoline.modalities.language.vocabulary import Vocabulary
from capitoline.modalities.language.wide import HEADS, IDF, Wide
from capitoline.modalities.networks.losses import log_probabilities
from capitoline.modalities.networks.rater import ELEMENTS_A_RUN, SequenceRater
from capitoline.modalities.networks.sequence import build_network, pack
from capitoline.modalities.rwkv.whole_layers import Kind, best_kind
from capitoline.modalities.weights import find_weights, read_metadata, read_weights, write_weights

SHIPPED = [
    ("text", "text"),
    ("text", "tags"),
    ("text", "both"),
    ("image", "image"),
    ("video", "video"),
    ("window", "window"),
]
KINDS = {"window": "video"}
"""Of shipped weights that are not named by it."""
ROUNDING = {None: (1e-5, 1e-4), Kind.FIXED: (2e-4, 2e-3), Kind.HALF: (2e-2, 2e-1)}
"""Of probabilities and features, by how the layers multiply."""
LENGTHS = (1, 40, 7, 130, 2, 90, ELEMENTS_A_RUN + 20, 256)


def _sequences(shape: dict[str, int]) -> list[npt.NDArray[Any]]:
    draw = np.random.default_rng(0)
    if shape["vocabulary"]:
        return [draw.integers(0, shape["vocabulary"], length) for length in LENGTHS]
    return [draw.random((length, shape["vector"]), np.float32) for length in LENGTHS]


def linear_half(tensors: Mapping[str, Tensor], sequences: list[npt.NDArray[Any]], head: str) -> Tensor:
    spellings = Vocabulary(tensors["vocabulary"].tolist()).spellings()
    wide = Wide(tensors[IDF].float().numpy(), {head: tensors[HEADS + head].numpy()}, spellings)
    return torch.from_numpy(wide(sequences, [head])[head])


@pytest.mark.parametrize("rounded", [False, True], ids=["float32", "16 bits"])
@pytest.mark.parametrize(("name", "head"), SHIPPED)
def test_it_equals_the_trained_network(name: str, head: str, rounded: bool) -> None:
    kind = KINDS.get(name, name)
    rater = SequenceRater(find_weights(name), kind, rounded=rounded)
    probability, feature = ROUNDING[best_kind() if rounded else None]
    sequences = _sequences(rater.metadata["shape"])
    ratings = rater(sequences, head)
    tensors, metadata = read_weights(find_weights(name), kind)
    network = build_network(tensors, metadata)
    with torch.no_grad():
        logits, features = network.head(head)(network(*pack(sequences)))
        if HEADS + head in tensors:
            logits += linear_half(tensors, sequences, head).view(logits.shape) / network.head(head).temperature
    np.testing.assert_allclose(ratings.probabilities, log_probabilities(logits)[:, 0].exp().numpy(), atol=probability)
    np.testing.assert_allclose(ratings.features, features.numpy(), atol=feature)


def test_no_sequences_have_no_ratings() -> None:
    assert SequenceRater(find_weights("video"), "video")([], "video").features.shape == (0, 64)


@pytest.mark.parametrize("change", ["lost", "cut"])
def test_a_file_that_does_not_hold_what_its_header_says_is_refused(tmp_path: Path, change: str) -> None:
    tensors, metadata = read_weights(find_weights("video"), "video")
    name = "body.blocks.1.ffn.value.weight"
    whole = tensors.pop(name)
    write_weights(tmp_path / "w.safetensors", tensors | ({name: whole[1:]} if change == "cut" else {}), metadata)
    assert read_metadata(tmp_path / "w.safetensors")["kind"] == "video"
    with pytest.raises(ValueError, match="does not hold the network"):
        SequenceRater(tmp_path / "w.safetensors", "video")
