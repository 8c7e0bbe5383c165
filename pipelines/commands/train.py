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
) -> None:
    """Train an expert's weights and write them with their card.

    capitoline train configs/train/text.yaml --out runs/text
    """
    from capitoline.pipelines.train import train

    with told_plainly():
        weights = train(config, out, data)
    typer.echo(f"weights: {weights}")
