"""The command line. Each command is a thin skin over a function that Python can call too.

Exit codes: 0 every item is rated and whole; 3 some item is unrated or has a part that failed;
2 a usage error; 1 the job could not go on (a full disk, a cluster that went away).
"""

from __future__ import annotations

import logging
import os
from typing import Annotated

import typer

from capitoline.modalities.rwkv.library import allowed_levels
from capitoline.pipelines.commands.ablate import ablate
from capitoline.pipelines.commands.distil import distil
from capitoline.pipelines.commands.doctor import doctor
from capitoline.pipelines.commands.evaluate import evaluate
from capitoline.pipelines.commands.explain import explain
from capitoline.pipelines.commands.features import features
from capitoline.pipelines.commands.fuse import fuse
from capitoline.pipelines.commands.rate import rate
from capitoline.pipelines.commands.replay import replay
from capitoline.pipelines.commands.settings import settings
from capitoline.pipelines.commands.train import train
from capitoline.pipelines.commands.watch import watch

COMMANDS = (rate, watch, explain, doctor, settings, train, evaluate, features, fuse, ablate, replay)
"""In the order of `--help`."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"capitoline {version('capitoline')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Rates text, images, audio, video and their mixtures on an ordered scale, with the evidence."""
    try:
        allowed_levels()  # before anything is read or written
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


for command in COMMANDS:
    app.command()(command)
app.add_typer(distil, name="distil")


def main() -> None:
    """The entry point of the `capitoline` command."""
    # One thread a process: two BLAS threads on two busy cores were measured four times slower than one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    app()


if __name__ == "__main__":
    main()
