"""Where a training starts from and what it changes, on a few real plots of films."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from capitoline.configs.training import Training
from capitoline.modalities.networks.losses import LINKS
from capitoline.modalities.networks.rater import SequenceRater
from capitoline.modalities.networks.sequence import build_network, pack
from capitoline.modalities.networks.trunk import TextRater
from capitoline.modalities.rwkv.checkpoint import write_tensors
from capitoline.modalities.rwkv.model import RWKV7
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.tokenizer import VOCABULARY
from capitoline.modalities.weights import read_arrays, read_metadata, read_weights
from capitoline.pipelines.train import train

Train = Callable[..., Path]

CONFIGURATION = """
kind: text
name: plots
purpose: For tests.
network: {width: 64, layers: 2, features: 8, dropout: 0.0}
epochs: 1
batch: 64
rate: 3.0e-3
window: 32
selection: 0.2
heads:
  kim:
    axes: [sex, violence, language]
    levels: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
    loss: cumulative
sources:
  - {file: omdb_movies.jsonl.gz, columns: [text], tags: [genres], licence: CC BY-NC}
  - file: omdb_movies.jsonl.gz
    head: kim
    columns: [text]
    axes: {sex: kim_sex, violence: kim_violence, language: kim_language}
    licence: CC BY-NC
"""


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains with some settings changed, in a folder of its own."""

    def run(**changes: Any) -> Path:
        folder = tmp_path_factory.mktemp("run")
        settings = Training.model_validate(yaml.safe_load(CONFIGURATION) | changes)
        (folder / "plots.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
        return train(folder / "plots.yaml", folder / "run", data)

    return run


@pytest.fixture(scope="module")
def trunk(trained: Train) -> Path:
    """Weights of ours to start from."""
    return trained()


def _body(path: Path) -> dict[str, torch.Tensor]:
    return {name: one for name, one in read_weights(path, "text")[0].items() if name.startswith("body.")}


def _changed(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_heads_of_all_shapes_are_served_as_they_were_trained(trunk: Path) -> None:
    _equals_its_network(trunk)
    rater = TextRater(trunk)
    texts = [rater.read(text) for text in ("A man is shot.", "A child finds a dog. " * 40)]
    ratings = rater.by_heads(texts, ["text", "kim"])
    assert ratings["text"].probabilities.shape == (2, 5)
    assert ratings["kim"].probabilities.shape == (2, 3, 11)
    assert ratings["kim"].severities.shape == (2, 3)
    assert read_metadata(trunk)["heads"]["kim"]["axes"] == ["sex", "violence", "language"]


def _equals_its_network(path: Path) -> None:
    rater, network = SequenceRater(path, "text", rounded=False), build_network(*read_weights(path, "text"))
    draw = np.random.default_rng(0)
    sequences = [draw.integers(0, network.shape.vocabulary, length) for length in (1, 40, 7)]
    with torch.no_grad():
        pooled = network(*pack(sequences))
        for name, ratings in rater.by_heads(sequences, list(rater.heads)).items():
            expected = LINKS[rater.heads[name].link](network.head(name)(pooled)[0]).exp().numpy()
            np.testing.assert_allclose(ratings.probabilities.reshape(expected.shape), expected, atol=1e-5)


def test_weights_of_ours_are_a_start_with_their_vocabulary(trained: Train, trunk: Path) -> None:
    path = trained(start=str(trunk), tuning="head", rarest=1)
    assert _changed(_body(trunk), _body(path)) == set()
    assert torch.equal(*(read_weights(one, "text")[0]["vocabulary"] for one in (trunk, path)))


def test_the_trunk_learns_more_slowly_where_it_is_told_to(trained: Train, trunk: Path) -> None:
    slow, fast = (_body(trained(start=str(trunk), trunk_rate=rate)) for rate in (0.01, 1.0))
    before = _body(trunk)
    name = "body.blocks.1.att.key.weight"
    moved = [(after[name].float() - before[name].float()).abs().mean() for after in (slow, fast)]
    assert 0 < moved[0] < moved[1] / 5


def test_adapters_are_folded_into_the_projections_and_leave_all_else_alone(trained: Train, trunk: Path) -> None:
    path = trained(start=str(trunk), tuning="lora", rate=3e-2)
    projections = {"att.receptance", "att.key", "att.value", "att.output", "ffn.key", "ffn.value"}
    changed = _changed(_body(trunk), _body(path))
    assert changed == {f"body.blocks.{layer}.{name}.weight" for layer in (0, 1) for name in projections}
    _equals_its_network(path)


def test_a_tuned_state_is_in_the_file_and_is_served(trained: Train, trunk: Path) -> None:
    path = trained(start=str(trunk), tuning="state", rate=3e-2)
    assert _changed(_body(trunk), _body(path)) == set()
    state = read_weights(path, "text")[0]["state"]
    assert state.shape == (2, 1, 64, 64)
    assert state.float().abs().max() > 1e-3
    _equals_its_network(path)


def test_an_official_checkpoint_is_a_start_with_the_tokens_that_are_used(trained: Train, tmp_path: Path) -> None:
    torch.manual_seed(0)
    official = RWKV7(Size(VOCABULARY, 64, 2), language_head=True).state_dict()
    write_tensors(tmp_path / "official.pth", official)
    path = trained(start=str(tmp_path / "official.pth"), tuning="head")
    tensors, metadata = read_weights(path, "text")
    kept = tensors["vocabulary"].long()
    assert metadata["shape"]["vocabulary"] == 257 + len(kept) < VOCABULARY
    assert torch.equal(tensors["body.emb.weight"][257:], official["emb.weight"][kept].bfloat16())
    assert torch.equal(tensors["body.blocks.1.ffn.key.weight"], official["blocks.1.ffn.key.weight"].bfloat16())


def test_a_start_of_another_size_says_what_to_write(trained: Train, trunk: Path) -> None:
    with pytest.raises(ValueError, match=r"write `network: \{width: 64, layers: 2\}`"):
        trained(start=str(trunk), network={"width": 128, "layers": 2})


def test_a_table_of_tokens_in_bytes_is_half_as_large_and_hardly_less_exact(trained: Train, trunk: Path) -> None:
    small = trained(start=str(trunk), tuning="head", embedding="int8")
    exact = read_arrays(trunk, "text")[0]["body.emb.weight"]
    rounded = read_arrays(small, "text")[0]["body.emb.weight"]
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded, read_weights(small, "text")[0]["body.emb.weight"].numpy())
    error = np.abs(rounded - exact) / np.abs(exact).max(1, keepdims=True)
    assert error.max() <= 0.5 / 127 + 1e-6
    saved = trunk.stat().st_size - small.stat().st_size
    assert saved > 0.9 * exact.size - 4 * len(exact) - 2000
    _equals_its_network(small)


def test_reasons_teach_the_trunk_and_leave_no_trace_in_the_file(trained: Train, trunk: Path) -> None:
    sources = yaml.safe_load(CONFIGURATION)["sources"]
    sources[0]["reason"] = {"column": "mpaa_reason", "weight": 1.0}
    reasoned = trained(sources=sources)
    assert read_arrays(reasoned, "text")[0].keys() == read_arrays(trunk, "text")[0].keys()
    assert _changed(_body(trunk), _body(reasoned))
