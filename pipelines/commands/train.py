"""Training of weights: `capitoline train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import Data, told_plainly


def train(
    config: Annotated[Path, typer.Argument(help="YAML of a training, such as configs/train/text.yaml.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command continues an interrupted one.")],
    data: Data = Path("../shared/data"),
    folds: Annotated[
        int, typer.Option(min=0, help="Also train so many weights that each leave out a part of the groups.")
    ] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes (or GPUs) that share each batch, on Ray.")] = 1,
    model: Annotated[
        str,
        typer.Option(
            help="A baseline in our place: tfidf, lstm, distilbert, roberta, minilm, hub:NAME. It learns the labels of "
            "the same rows; start, lessons, reasons and linear halves are for ours alone."
        ),
    ] = "",
    address: Annotated[str, typer.Option(help="Ray to train on; without one, a Ray of our own.")] = "",
) -> None:
    """Train an expert's weights and write them with their card.

    capitoline train configs/train/text.yaml --out runs/text
    """
    with told_plainly():
        if folds == 1:
            raise ValueError("one fold would leave nothing to learn from; give --folds 2 or more")
        if model and (workers > 1 or address):
            raise ValueError("a baseline is trained in one process; leave out --workers and --address")
        if workers > 1 or address:
            from capitoline.pipelines.training.distributed import train_together

            weights = train_together(config, out, data, folds, workers, address)
        else:
            from capitoline.pipelines.train import train as train_alone

            weights = train_alone(config, out, data, folds, model=model)
    typer.echo(f"weights: {weights}")
