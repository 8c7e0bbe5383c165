"""Distillation from a larger teacher: `capitoline distil features` and `capitoline distil answers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import ALL_RATED, SOME_NOT_RATED, Data, told_plainly

distil = typer.Typer(no_args_is_help=True, help="Put what a large teacher knows into a small expert.")

Run = Annotated[Path, typer.Option(help="Folder of the run; the same command continues an interrupted one.")]


@distil.command()
def features(
    config: Annotated[Path, typer.Argument(help="YAML such as configs/distil/trunk.yaml.", exists=True)],
    out: Run,
    data: Data = Path("../shared/data"),
) -> None:
    """Train a text trunk to say what a sentence encoder says. No label is read.

    capitoline distil features configs/distil/trunk.yaml --out runs/trunk
    """
    from capitoline.pipelines.distill import distil_features

    with told_plainly():
        weights = distil_features(config, out, data)
    typer.echo(f"weights: {weights}")


@distil.command()
def answers(
    config: Annotated[Path, typer.Argument(help="YAML such as configs/distil/answers.yaml.", exists=True)],
    out: Run,
    data: Data = Path("../shared/data"),
    address: Annotated[str, typer.Option(help="Ray cluster to run on: `auto` or `host:port`; else this machine.")] = "",
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Ask again about rows that are errors.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Let a language model, or an expert here, label rows and say why; the result is a data set with a card.

    Exit code: **0** every row is labelled or discarded, **3** some row is an error or was not asked about
    (the budget), **1** the teacher is not to be had any more, **2** usage.

        capitoline distil answers configs/distil/answers.yaml --out runs/answers
    """
    from capitoline.pipelines.distillation.answer import Fate
    from capitoline.pipelines.distillation.answers import distil_answers
    from capitoline.pipelines.progress import progress_bar
    from capitoline.pipelines.units import counted

    with told_plainly(), progress_bar(quiet, "labelling") as progress:
        tally, items = distil_answers(config, out, data, address=address, retry_errors=retry_errors, progress=progress)
    unasked = items - tally.fates.total()
    counts = ", ".join(f"{tally.fates[fate]:,} {fate}" for fate in (Fate.LABELLED, Fate.DISCARDED, Fate.ERROR))
    typer.echo(f"{counted(items, 'row')}: {counts}, {unasked:,} not asked about; see {out / 'README.md'}")
    raise typer.Exit(SOME_NOT_RATED if unasked or tally.fates[Fate.ERROR] else ALL_RATED)
