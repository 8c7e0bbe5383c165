"""Figures on labelled rows: `capitoline evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import TABLE_WIDTH, Data, told_plainly

Configs = Annotated[list[Path], typer.Argument(help="YAML files of evaluations: configs/eval/*.yaml.", exists=True)]
Out = Annotated[
    Path | None, typer.Option(file_okay=False, help="Folder for figures.json, table.md and evaluation.html.")
]
Weights = Annotated[
    list[str] | None,
    typer.Option(help="Measure these weights (a baseline's, a run's) and not those that the YAML names; repeatable."),
]


def evaluate(configs: Configs, data: Data = Path("../shared/data"), out: Out = None, weights: Weights = None) -> None:
    """Rate labelled rows and print the figures, with intervals, beside floors and targets.

    capitoline evaluate configs/eval/*.yaml --out results
    """
    from rich.console import Console

    from capitoline.pipelines.evaluate import evaluate, write_results
    from capitoline.pipelines.evaluation.table import table_of

    with told_plainly():
        results = [row for config in configs for name in weights or [""] for row in evaluate(config, data, name)]
        if out:
            write_results(out, results)
    # Figures that a narrow terminal or a pipe cuts to an ellipsis are none.
    Console(width=max(Console().width, TABLE_WIDTH)).print(table_of(results))
