"""Which strategy, experts and cost to run: `capitoline ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import Data, told_plainly


def ablate(
    config: Annotated[Path, typer.Argument(help="YAML of an ablation: configs/ablate/posters.yaml.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for the table, the summary, the page and the winner.")],
    data: Data = Path("../shared/data"),
) -> None:
    """Compare strategies, subsets of experts and costs on stored features, and say which to run.

    capitoline ablate configs/ablate/posters.yaml --out runs/ablation

    Then, in the configuration of `rate`, the lines of runs/ablation/winner.yaml.
    """
    from capitoline.pipelines.ablate import run_ablation
    from capitoline.pipelines.ablation.words import verdict
    from capitoline.pipelines.progress import progress_bar

    with told_plainly(), progress_bar(quiet=False) as progress:
        findings = run_ablation(config, out, data, progress)
    for sentence in verdict(findings):
        typer.echo(sentence)
    typer.echo(f"page: {out / 'ablation.html'}\nconfiguration: {out / 'winner.yaml'}")
