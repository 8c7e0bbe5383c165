"""Every YAML file here is one of its command, and given to another it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from capitoline.configs.ablation import Ablation
from capitoline.configs.answers import AnswerDistillation
from capitoline.configs.distillation import FeatureDistillation
from capitoline.configs.evaluation import Evaluation
from capitoline.configs.settings import Settings, Strict, load_settings
from capitoline.configs.training import Training, load_configuration
from capitoline.pipelines.commented import commented_yaml

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
MODELS: dict[str, type[Strict]] = {
    "train/text.yaml": Training,
    "train/teacher.yaml": Training,
    "train/minilm.yaml": Training,
    "train/image.yaml": Training,
    "train/video.yaml": Training,
    "train/window.yaml": Training,
    "eval/text.yaml": Evaluation,
    "eval/image.yaml": Evaluation,
    "eval/video.yaml": Evaluation,
    "eval/window.yaml": Evaluation,
    "distil/trunk.yaml": FeatureDistillation,
    "distil/answers.yaml": AnswerDistillation,
    "ablate/posters.yaml": Ablation,
}


@pytest.mark.parametrize("name", MODELS)
def test_it_can_be_loaded(name: str) -> None:
    load_configuration(CONFIGS / name, MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_given_to_rate_it_is_told_to_be_for_another_command(name: str) -> None:
    command = {"eval": "evaluate", "ablate": "ablate", "train": "train", "distil": "distil"}[name.split("/")[0]]
    with pytest.raises(ValueError, match=rf"looks like a file for `capitoline {command}"):
        load_settings(CONFIGS / name)


def test_a_training_given_to_evaluate_and_settings_given_to_train_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not a valid evaluation(.|\n)*looks like a file for `capitoline train`"):
        load_configuration(CONFIGS / "train/text.yaml", Evaluation)
    (tmp_path / "mine.yaml").write_text(commented_yaml(Settings()), encoding="utf-8")
    with pytest.raises(ValueError, match="looks like a file for `capitoline rate`"):
        load_configuration(tmp_path / "mine.yaml", Training)


def test_a_misspelt_key_is_no_other_kind(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("decidre: {kind: mean}", encoding="utf-8")
    with pytest.raises(ValueError, match="decidre") as refused:
        load_settings(tmp_path / "mine.yaml")
    assert "looks like" not in str(refused.value)
