"""A text network with a linear half: fitted, stored, served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from capitoline.configs.training import Training, load_configuration
from capitoline.modalities.language.vocabulary import Vocabulary
from capitoline.modalities.language.wide import HEADS, IDF, Wide
from capitoline.modalities.networks.losses import log_probabilities
from capitoline.modalities.networks.sequence import build_network, pack
from capitoline.modalities.networks.trunk import TextRater, windows
from capitoline.modalities.weights import read_weights
from capitoline.pipelines.train import train

WIDE = "wide: {heads: [text], bits: 12}\n"

TEXTS = ["scene 7: he shoots and swears", "a kitten plays", "explicit scenes of sex, " * 20]


@pytest.fixture(scope="module")
def weights(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    (folder / "wide.yaml").write_text((tiny / "tiny.yaml").read_text() + WIDE)
    return train(folder / "wide.yaml", folder / "run", tiny)


def test_it_is_served_as_the_sum_of_both_halves(weights: Path) -> None:
    tensors, metadata = read_weights(weights, "text")
    vocabulary = Vocabulary(tensors["vocabulary"].tolist())
    sequences = [windows(vocabulary.encode(text), metadata["window"]) for text in TEXTS]
    pieces = [one for of_text in sequences for one in of_text]
    network = build_network(tensors, metadata)
    with torch.no_grad():
        deep = network.head("text")(network(*pack(pieces)))[0]
    matrix = tensors[HEADS + "text"].numpy()
    wide = Wide(tensors[IDF].float().numpy(), {"text": matrix}, vocabulary.spellings())(pieces, ["text"])["text"]
    logits = deep + torch.from_numpy(wide).view(deep.shape) / network.head("text").temperature
    expected = log_probabilities(logits)[:, 0].exp().numpy()
    served = TextRater(weights)(TEXTS[:2]).probabilities
    np.testing.assert_allclose(served, expected[:2], atol=1e-4)


def test_only_the_heads_that_ask_ngrams_have_weights_for_them(tiny: Path, weights: Path) -> None:
    tensors, _ = read_weights(weights, "text")
    assert [name for name in tensors if name.startswith(HEADS)] == [HEADS + "text"]
    assert tensors[HEADS + "text"].abs().max() > 0.01
    alone, both = TextRater(tiny / "run" / "tiny.safetensors"), TextRater(weights)
    tags = ["tags: adult", "tags: family, animals"]
    np.testing.assert_array_equal(both(tags, "tags").probabilities, alone(tags, "tags").probabilities)


def test_it_learns_what_the_labels_say(weights: Path) -> None:
    assert [TextRater(weights).labels[one] for one in TextRater(weights)(TEXTS).severities] == ["R", "PG", "XXX"]


def test_an_interruption_changes_nothing(tiny: Path, weights: Path, tmp_path: Path) -> None:
    again = train(weights.parent.parent / "wide.yaml", tmp_path / "again", tiny)
    assert again.read_bytes() == weights.read_bytes()


@pytest.mark.parametrize(
    ("wide", "message"),
    [
        ("wide: {heads: [plots]}", "no source teaches"),
        ("loss: cumulative\nwide: {heads: [text]}", "needs `loss: corn`"),
    ],
)
def test_a_linear_half_that_cannot_be_is_refused(tiny: Path, tmp_path: Path, wide: str, message: str) -> None:
    path = tmp_path / "wide.yaml"
    path.write_text((tiny / "tiny.yaml").read_text() + wide + "\n")
    with pytest.raises(ValueError, match=message):
        load_configuration(path, Training)
