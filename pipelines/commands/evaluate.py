"""Figures on labelled rows: `capitoline evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import TABLE_WIDTH, Data, told_plainly


def evaluate(
    configs: Annotated[list[Path], typer.Argument(help="YAML files of evaluations: configs/eval/*.yaml.", exists=True)],
    data: Data = Path("../shared/data"),
) -> None:
    """Rate labelled rows and print the figures beside those of the commonest label and of the floors.

    capitoline evaluate configs/eval/*.yaml
    """
    from rich.console import Console

    from capitoline.pipelines.evaluate import evaluate, table_of

    with told_plainly():
        for config in configs:
            # Figures that a narrow terminal or a pipe cuts to an ellipsis are none.
            Console(width=max(Console().width, TABLE_WIDTH)).print(table_of(evaluate(config, data)))
