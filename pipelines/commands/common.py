"""What the commands share: exit codes, arguments, and how an error is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

TABLE_WIDTH = 170
"""Characters that the table of `evaluate` needs."""

ALL_RATED, CANNOT_GO_ON, USAGE, SOME_NOT_RATED = 0, 1, 2, 3


class Where(StrEnum):
    """Where the graph runs."""

    AUTO = "auto"
    PROCESS = "process"
    RAY = "ray"


Out = Annotated[Path, typer.Argument(help="Output folder of a job.", exists=True, file_okay=False)]

Data = Annotated[Path, typer.Option(envvar="CAPITOLINE_DATA", help="Folder in which the YAML's data files lie.")]


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turns what the user can mend into a message and an exit code, without a traceback."""
    try:
        yield
    except ValueError as error:
        typer.echo(f"capitoline: {error}", err=True)
        raise typer.Exit(USAGE) from error
    except ImportError as error:  # of a package that only some addresses need, such as s3fs
        typer.echo(f"capitoline: {error}", err=True)
        raise typer.Exit(USAGE) from error
    except (OSError, RuntimeError) as error:
        typer.echo(f"capitoline: {error}; run the same command to continue from what is committed", err=True)
        raise typer.Exit(CANNOT_GO_ON) from error
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command to continue", err=True)
        raise typer.Exit(130) from None
