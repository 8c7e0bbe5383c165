"""Fitting of a decider: `capitoline fuse`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.configs.fusion import FittedStrategy
from capitoline.pipelines.commands.common import told_plainly


def fuse(
    features: Annotated[Path, typer.Argument(help="Folder that `capitoline features` wrote.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for the decider and its card.")],
    strategy: Annotated[
        FittedStrategy | None, typer.Option(help="What is fitted, instead of the configuration's.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML of a fit; without one the defaults.", exists=True)] = None,
) -> None:
    """Fit a decider to stored features of rows that no expert has seen, and write it with its card.

    capitoline fuse features/posters --out runs/fusion

    Then, in the configuration of `rate`: decider: {kind: fusion, weights: runs/fusion/fusion.safetensors}
    """
    from capitoline.configs.fusion import Fusing
    from capitoline.configs.training import load_configuration
    from capitoline.pipelines.fuse import fuse

    with told_plainly():
        settings = load_configuration(config, Fusing) if config else Fusing()
        weights = fuse(features, out, settings.model_copy(update={"strategy": strategy}) if strategy else settings)
    typer.echo(f"weights: {weights}\ncard: {weights.with_suffix('.md')}")
