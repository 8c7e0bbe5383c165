"""From a labelled file to features: divide it, train each expert in folds, ask all of them about every row.

    build_features(settings, Path("../shared/data"), Path("runs/posters"))

Each step is kept in the folder and skipped the next time, unless what it rests on has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from capitoline.configs.feature_build import FeatureBuild, TrainedKind
from capitoline.configs.settings import ExpertSettings, ImageExpert, Settings, TagsExpert, TextExpert
from capitoline.configs.training import Training, load_configuration
from capitoline.pipelines.features.compute import Computed, compute_features
from capitoline.pipelines.features.division import Division, divide
from capitoline.pipelines.features.folds import FoldedWeights, Labelling, one_cut, read_folded
from capitoline.pipelines.features.store import FeatureStore
from capitoline.pipelines.fingerprint import combined_digest
from capitoline.pipelines.job import Progress, Request, silent
from capitoline.pipelines.sources.columns import Columns

EXPERTS: dict[TrainedKind, type[TextExpert | TagsExpert | ImageExpert]] = {
    "text": TextExpert,
    "tags": TagsExpert,
    "image": ImageExpert,
}

SHOWN_OF_A_LOG = 2_000
"""Characters of a failed training's output that the error repeats."""


@dataclass(frozen=True, slots=True)
class _Fitting:
    """One expert's training in folds."""

    kind: TrainedKind
    config: Path
    out: Path


def build_features(settings: FeatureBuild, data: Path, out: Path, progress: Progress = silent) -> FeatureStore:
    """The features that `settings` describes, of files under `data`, in the store in `out`.

    Raises:
        ValueError: a file is missing or unfit, or a training cannot be read.
        RuntimeError: a training failed; the message ends with what it said.
    """
    configs = {kind: training_path(name) for kind, name in settings.experts.items()}
    trainings = {kind: load_configuration(path, Training) for kind, path in configs.items()}
    read = {name for one in trainings.values() for source in one.sources for name in (source.file, source.archive)}
    division = divide(settings, data, out / "build", filter(None, read))
    fittings = [_fitting(kind, configs[kind], division, settings, out) for kind in EXPERTS if kind in configs]
    with ThreadPoolExecutor(settings.processes) as side_by_side:
        folded = dict(side_by_side.map(lambda one: (str(one.kind), _train(one, settings.folds, division)), fittings))
    _compute(settings, data, out, division, folded, progress)
    return FeatureStore(out)


def training_path(name: str) -> Path:
    """A training of ours by its name under configs/ablate, else a path."""
    ours = Path(str(files("capitoline.configs") / "ablate" / name))
    return ours if ours.is_file() else Path(name)


def _fitting(kind: TrainedKind, config: Path, division: Division, settings: FeatureBuild, out: Path) -> _Fitting:
    key = combined_digest(config.read_text(encoding="utf-8"), division.digest, str(settings.folds))
    return _Fitting(kind, config, out / "build" / f"{kind}-{key[:12]}")


def _train(fitting: _Fitting, folds: int, division: Division) -> FoldedWeights:
    """Trains unless it is done, in a process of its own: two in one would share an interpreter."""
    if not (fitting.out / "folds.json").exists():
        command = [sys.executable, "-m", "capitoline.pipelines.cli", "train", str(fitting.config)]
        where = ["--out", str(fitting.out), "--data", str(division.training), "--folds", str(folds)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        log = fitting.out.with_suffix(".log")
        with log.open("wb") as output:
            ended = subprocess.run(  # noqa: S603 — our own interpreter and arguments
                [*command, *where], stdout=output, stderr=output, env=environment, check=False
            )
        if ended.returncode:
            said = log.read_text(encoding="utf-8", errors="replace")[-SHOWN_OF_A_LOG:]
            raise RuntimeError(f"training the {fitting.kind} expert failed:\n{said}")
    return read_folded(fitting.out)


def _compute(
    settings: FeatureBuild,
    data: Path,
    out: Path,
    division: Division,
    folded: dict[str, FoldedWeights],
    progress: Progress,
) -> Computed:
    experts = tuple(_expert(kind, folded[kind]) for kind in EXPERTS if kind in settings.experts)
    media = str(data / settings.media) if settings.media else str(data)
    request = Request((str(division.manifest),), out, Columns.parse(settings.columns), media)
    labelling = one_cut(Labelling(settings.label, "split", settings.group), folded)
    return compute_features(request, Settings(scale=settings.scale, experts=experts), labelling, folded, progress)


def _expert(kind: TrainedKind, weights: FoldedWeights) -> ExpertSettings:
    return EXPERTS[kind](weights=str(weights.whole.resolve()))
