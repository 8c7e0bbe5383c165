"""Which command a YAML file was written for, by its keys: a word to somebody who gave it to another."""

from __future__ import annotations

from pydantic import BaseModel

from capitoline.configs.ablation import Ablation
from capitoline.configs.answers import AnswerDistillation
from capitoline.configs.distillation import FeatureDistillation
from capitoline.configs.evaluation import Evaluation
from capitoline.configs.fusion import Fusing
from capitoline.configs.settings import Settings
from capitoline.configs.training import Training

KINDS: dict[str, type[BaseModel]] = {
    "rate": Settings,
    "train": Training,
    "evaluate": Evaluation,
    "ablate": Ablation,
    "fuse": Fusing,
    "distil features": FeatureDistillation,
    "distil answers": AnswerDistillation,
}
"""By the command that reads it; `watch`, `features` and `replay` read what `rate` reads."""


def written_for(content: object, asked: type[BaseModel]) -> str:
    """A line that names the commands whose keys these are; empty if they are `asked`'s, or nobody's."""
    keys = set(content) if isinstance(content, dict) else set()
    fitting = [f"`capitoline {command}`" for command, model in KINDS.items() if keys <= model.model_fields.keys()]
    if not fitting or keys <= asked.model_fields.keys():
        return ""
    return f"\nIt looks like a file for {' or '.join(fitting)}."
