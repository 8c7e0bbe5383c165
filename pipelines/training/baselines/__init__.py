"""What a user would pick instead, trained on the same rows and measured by the same program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capitoline.configs.training import Training
from capitoline.pipelines.training.corpus import Rows
from capitoline.pipelines.training.run_folder import RunFolder

Fit = Callable[[Training, Rows, RunFolder], Path]
"""(settings, divided rows, the run's folder) → the weights written there."""


def _tfidf(settings: Training, rows: Rows, folder: RunFolder) -> Path:
    from capitoline.pipelines.training.baselines.tfidf import fit

    return fit(settings, rows, folder)


def _network(settings: Training, rows: Rows, folder: RunFolder) -> Path:
    from capitoline.pipelines.training.baselines.network import fit

    return fit(settings, rows, folder)


BASELINES: dict[str, Fit] = {
    "tfidf": _tfidf,
    "lstm": _network,
    "distilbert": _network,
    "roberta": _network,
    "minilm": _network,
    "hub": _network,
}
"""By `Training.model`; `hub:NAME` is the family `hub`."""


def fit_baseline(settings: Training, rows: Rows, folder: RunFolder) -> Path:
    """Train the baseline that `settings.model` names on `rows`; the path of its weights in `folder`.

    Raises:
        ValueError: there is no such baseline, or it does not read what the settings' sources are.
    """
    fit = BASELINES.get(settings.model.split(":")[0])
    if fit is None:
        raise ValueError(f"no model {settings.model!r}: give rwkv, {', '.join(BASELINES)}:NAME")
    if settings.kind != "text":
        raise ValueError(f"the model {settings.model!r} reads text; {settings.name} is trained on another kind")
    done = folder.path / f"{settings.name}.safetensors"
    return done if done.exists() else fit(settings, rows, folder)
