"""Training of a weight file: one program for text and tags, pictures and films.

    train(Path("configs/train/text.yaml"), Path("runs/text"), Path("../shared/data"))

The run's folder holds `config.json`, `environment.json`, `metrics.jsonl` (a line an epoch),
`curves.svg`, `checkpoint.pt` (to continue after an interruption), `<name>.safetensors` and its card
`<name>.md`. The same configuration, data and machine give the same weights, interrupted or not.

Epoch and temperatures are chosen on rows held out of training; the validation rows are looked
at once, at the end, to be reported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from capitoline.configs.training import Training, load_configuration
from capitoline.modalities.networks.sequence import RatingNetwork
from capitoline.pipelines.training.arithmetic import check_arithmetic, set_arithmetic
from capitoline.pipelines.training.blends import with_blends
from capitoline.pipelines.training.corpus import Rows, head_shapes_of, head_weights_of, read_rows, targets
from capitoline.pipelines.training.folded import WHOLE, fold_folder, without_fold, write_folds
from capitoline.pipelines.training.inputs import INPUTS, Inputs
from capitoline.pipelines.training.lessons import Lessons
from capitoline.pipelines.training.linear_fit import fit_linear
from capitoline.pipelines.training.loop import Loop
from capitoline.pipelines.training.memory import keep_freed_memory
from capitoline.pipelines.training.peers import ALONE, Peers
from capitoline.pipelines.training.prediction import calibrate
from capitoline.pipelines.training.run_folder import RunFolder
from capitoline.pipelines.training.starts import Start, read_start, shape_of
from capitoline.pipelines.training.tuning import finish, prepare
from capitoline.pipelines.training.wide_fit import fit_wide
from capitoline.pipelines.training.writing import Fold, write

Run = Callable[[Rows, RunFolder, Fold | None], Path]
"""(divided rows, the run's folder, the fold that is left out) → the weights written there."""


def train(config_path: Path, out: Path, data: Path, folds: int = 0, peers: Peers = ALONE, model: str = "") -> Path:
    """Train what `config_path` describes on files under `data`; the path of the weights that learned from all rows.

    `model`, if given, stands in for the configuration's, so that a baseline learns from the same rows.

    A run that was interrupted in `out` is continued. With `folds`, `out` holds that run in `whole` and one
    for each fold that leaves its rows out; those that are done are not done again.

    Raises:
        ValueError: the configuration or the data cannot be read, or `out` holds another run.
    """
    keep_freed_memory()
    settings = load_configuration(config_path, Training)
    settings = settings.model_copy(update={"model": model or settings.model})
    check_arithmetic(settings)
    whole = RunFolder(out / WHOLE if folds else out, settings)
    rows = read_rows(settings, data)
    blended = with_blends(rows, settings)
    run = _runner(settings, blended, data, peers)
    if not folds:
        return run(blended, whole, None)
    weights = []
    for fold in range(folds):
        folder = RunFolder(fold_folder(out, fold), settings, (fold, folds))
        weights.append(run(without_fold(rows, fold, folds), folder, (fold, folds)))
    path = run(blended, whole, None)
    if peers.leads:
        write_folds(out, weights, settings)
    return path


def _runner(settings: Training, rows: Rows, data: Path, peers: Peers) -> Run:
    """What trains on any part of `rows`: every input is encoded once, here, however many runs follow."""
    if settings.model != "rwkv":
        from capitoline.pipelines.training.baselines import fit_baseline

        if peers.size > 1:
            raise ValueError(f"the model {settings.model!r} is trained in one process; leave out --workers")
        return lambda part, folder, fold: fit_baseline(settings, part, folder)
    start = read_start(settings)
    inputs = INPUTS[settings.kind](rows.all, settings, data, start.kept)
    return partial(_run, settings, start, inputs, peers)


def _run(
    settings: Training, start: Start, inputs: Inputs, peers: Peers, rows: Rows, folder: RunFolder, fold: Fold | None
) -> Path:
    """One training on `rows`; the path of the weights, which are there already if it was done before."""
    path = folder.path / f"{settings.name}.safetensors"
    if path.exists():
        return path
    network = _build(settings, start, inputs)
    taught = targets(rows.taught, head_shapes_of(settings), settings.balance)
    lessons = _lessons(settings, rows, folder) if settings.lessons and not fold else None
    epochs = Loop(network, rows, inputs, taught, settings, folder, peers, lessons).run()
    finish(network)
    if settings.linear:
        fit_linear(network.cpu(), rows, inputs, taught, settings.linear)
    wide = fit_wide(network.cpu(), rows, inputs, taught, settings.wide) if settings.wide else None
    fitted = [name for name, head in settings.heads.items() if head.decide_for]
    calibration = calibrate(network.cpu(), inputs, rows.selection, fitted, wide)
    if peers.leads:
        write(path, network, rows, inputs, settings, calibration, len(epochs), fold, wide)
    return path


def _lessons(settings: Training, rows: Rows, folder: RunFolder) -> Lessons:
    """What the teachers say, asked before the first step. No fold has any: they have seen the rows it leaves out."""
    from capitoline.pipelines.training.teachers import ask_teachers

    assert settings.lessons
    answers = ask_teachers(settings, rows, folder.path / "answers")
    return Lessons(answers, settings.lessons, head_weights_of(settings))


def _build(settings: Training, start: Start, inputs: Inputs) -> RatingNetwork:
    """The network before its first step, on the fastest device there is."""
    torch.manual_seed(settings.seed)
    shape = shape_of(settings, start, inputs.vocabulary, inputs.vector)
    network = RatingNetwork(shape, head_shapes_of(settings), settings.network.dropout)
    start.load(network, inputs.tensors().get("vocabulary"))
    prepare(network, settings)
    set_arithmetic(network.body, settings.arithmetic)
    return network.to("cuda" if torch.cuda.is_available() else "cpu")
