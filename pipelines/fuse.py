"""Fitting of a decider to stored features: `capitoline fuse`.

    fuse(Path("features/posters"), Path("runs/fusion"), Fusing(strategy="mlp"))

The rows of split `train` fit it, and each must be told of by weights that did not learn from
it; those of split `val` are looked at once, to be reported. The folder gets `fusion.safetensors`
and its card `fusion.md`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from capitoline.configs.fusion import Fusing
from capitoline.fusion.files import write_decider
from capitoline.fusion.fitted import FittedDecider, rows_to_fit
from capitoline.fusion.options import MlpOptions, Options
from capitoline.modalities.decisions import ArrayDecider, Decisions
from capitoline.modalities.feature_set import UNKNOWN, FeatureSet
from capitoline.pipelines.evaluation.metrics import Figures, measure
from capitoline.pipelines.features.store import FeatureStore
from capitoline.pipelines.strategies import FITTED
from capitoline.voter.many import ArrayVoter

NAME = "fusion"


def fuse(features: Path, out: Path, settings: Fusing) -> Path:
    """Fit what `settings` names to the features in a folder; the path of the file in `out`.

    Raises:
        ValueError: no features there, an expert that has none, or rows that an expert has seen in training.
    """
    held = FeatureStore(features).read()
    chosen = held.only(settings.experts) if settings.experts else held
    train = chosen.of_split("train")
    decider = FITTED[settings.strategy](train, options_of(settings))
    figures = report(decider, chosen.of_split("val"))
    rows = len(rows_to_fit(train))
    about = {
        "settings": settings.model_dump(mode="json"),
        "rows": rows,
        "validation": {name: one.as_json() for name, one in figures.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{NAME}.safetensors"
    write_decider(path, decider, about)
    (out / f"{NAME}.md").write_text(card(decider, settings, rows, figures), encoding="utf-8")
    return path


def options_of(settings: Fusing) -> Options:
    """The numbers of `settings`, for the classes that know no configuration."""
    return Options(settings.seed, settings.down_cost, mlp=MlpOptions(**settings.mlp.model_dump()))


def report(decider: ArrayDecider, rows: FeatureSet) -> dict[str, Figures]:
    """Figures of the decider, of each expert alone and of the default rule, on the labelled rows that they rated."""
    decisions = {decider.name: decider.decide(rows), "voter:majority": ArrayVoter("majority").decide(rows)}
    for expert in rows.experts:
        ballots = np.where(expert.rated, expert.severities, UNKNOWN)
        decisions[expert.name] = Decisions(ballots, expert.probabilities)
    return {name: figures for name, one in decisions.items() if (figures := _figures(one, rows)) is not None}


def _figures(decisions: Decisions, rows: FeatureSet) -> Figures | None:
    told = np.flatnonzero((rows.truth != UNKNOWN) & (decisions.severities >= 0))
    if not len(told):
        return None
    return measure(rows.truth[told], decisions.severities[told], len(rows.labels), decisions.probabilities[told])


def card(decider: FittedDecider, settings: Fusing, rows: int, figures: dict[str, Figures]) -> str:
    """The decider's card as Markdown."""
    frame = decider.frame
    parts = [
        f"# {NAME}.safetensors",
        f"`{decider.name}`, fitted on {rows:,} rows that no expert had seen in its training, with seed "
        f"{settings.seed}, by `capitoline fuse`. Labels, mildest first: {' < '.join(frame.labels)}. A level too mild "
        f"costs {frame.down_cost:g} times a level too severe.",
        "It decides only for the experts below, with the weights of these digests; any subset of them rates. Ratings "
        "more severe than any that it was fitted on follow the most alarmed expert.",
        "\n".join(
            f"- `{name}` {digest or '(weights unknown: it cannot serve)'}" for name, digest in frame.experts.items()
        ),
        "## Figures on validation rows",
        _table(figures),
        "Down-class: share rated milder than they are / by two levels or more.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(figures: dict[str, Figures]) -> str:
    lines = ["| | items | QWK | accuracy | macro-F1 | down-class | ECE |", "|---|---|---|---|---|---|---|"]
    for name, one in figures.items():
        shares = f"{one.down_rate:.3f} / {one.down_two_rate:.3f}"
        cells = f"{one.kappa:.3f} | {one.accuracy:.3f} | {one.macro_f1:.3f} | {shares} | {one.calibration_error:.3f}"
        lines.append(f"| {name} | {one.count} | {cells} |")
    return "\n".join(lines)
