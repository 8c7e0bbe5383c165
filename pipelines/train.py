"""Training of a weight file: one program for text and tags, pictures and films.

    train(Path("configs/train/text.yaml"), Path("runs/text"), Path("../shared/data"))

The run's folder holds `config.json`, `environment.json`, `metrics.jsonl` (a line an epoch),
`curves.svg`, `checkpoint.pt` (to continue after an interruption), `<name>.safetensors` and its card
`<name>.md`. The same configuration, data and machine give the same weights, interrupted or not.

Epoch and temperatures are chosen on rows held out of training; the validation rows are looked
at once, at the end, to be reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from capitoline.configs.training import Training, load_configuration
from capitoline.modalities.sequence import RatingNetwork
from capitoline.pipelines.training.corpus import Rows, head_shapes_of, read_rows, targets
from capitoline.pipelines.training.inputs import INPUTS, Inputs
from capitoline.pipelines.training.loop import Loop
from capitoline.pipelines.training.peers import Peers
from capitoline.pipelines.training.prediction import calibrate
from capitoline.pipelines.training.run_folder import RunFolder
from capitoline.pipelines.training.starts import Start, read_start, shape_of
from capitoline.pipelines.training.tuning import finish, prepare
from capitoline.pipelines.training.writing import Fold, write

ALONE = Peers()


@dataclass(frozen=True, slots=True)
class Material:
    """What the runs of one configuration share: the rows, encoded, and where the network starts."""

    rows: Rows
    inputs: Inputs
    start: Start


def train(config_path: Path, out: Path, data: Path, peers: Peers = ALONE) -> Path:
    """Train what `config_path` describes on files under `data`; the path of the weights in `out`.

    A run that was interrupted in `out` is continued.

    Raises:
        ValueError: the configuration or the data cannot be read, or `out` holds another run.
    """
    settings = load_configuration(config_path, Training)
    folder = RunFolder(out, settings)
    return run(gather(settings, data), settings, folder, peers)


def gather(settings: Training, data: Path) -> Material:
    """Rows and start of `settings`, with every input encoded once.

    Raises:
        ValueError: the data or the start cannot be read.
    """
    rows, start = read_rows(settings, data), read_start(settings)
    return Material(rows, INPUTS[settings.kind](rows.all, settings, data, start.kept), start)


def run(
    material: Material, settings: Training, folder: RunFolder, peers: Peers = ALONE, fold: Fold | None = None
) -> Path:
    """One training on `material.rows`; the path of the weights, which are there already if it was done before."""
    path = folder.path / f"{settings.name}.safetensors"
    if path.exists():
        return path
    rows, inputs = material.rows, material.inputs
    network = build(material, settings)
    taught = targets(rows.train, head_shapes_of(settings), settings.balance)
    epochs = Loop(network, rows, inputs, taught, settings, folder, peers).run()
    finish(network)
    calibration = calibrate(network.cpu(), inputs, rows.selection)
    if peers.leads:
        write(path, network, rows, inputs, settings, calibration, len(epochs), fold)
    return path


def build(material: Material, settings: Training) -> RatingNetwork:
    """The network before its first step, on the fastest device there is."""
    torch.manual_seed(settings.seed)
    inputs = material.inputs
    shape = shape_of(settings, material.start, inputs.vocabulary, inputs.vector)
    network = RatingNetwork(shape, head_shapes_of(settings), settings.network.dropout)
    material.start.load(network, inputs.tensors().get("vocabulary"))
    prepare(network, settings)
    return network.to("cuda" if torch.cuda.is_available() else "cpu")
