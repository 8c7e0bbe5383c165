"""Deciding again without looking again: `capitoline replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import Out, told_plainly


def replay(
    results: Out,
    config: Annotated[Path, typer.Option(help="YAML file of settings with another `decider` or review.", exists=True)],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the new ratings (Parquet) and a line for each move (moves.jsonl).")
    ] = None,
) -> None:
    """Decide a finished job again from the evidence that it kept, and say who moves from which rating to which.

    capitoline replay results --config stricter.yaml
    """
    from rich.console import Console

    from capitoline.configs.settings import load_settings
    from capitoline.pipelines.moves_table import moves_table
    from capitoline.pipelines.replay import replay

    with told_plainly():
        replayed = replay(results, load_settings(config), out)
    Console().print(moves_table(replayed.moves, [(one.item_id, one.before, one.after) for one in replayed.moved]))
