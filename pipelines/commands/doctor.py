"""What is installed and what is missing: `capitoline doctor`."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for a bug report.")] = False,
) -> None:
    """Tell what is installed, which weights and devices are found, and what to do about what is not."""
    from rich.console import Console

    from capitoline.pipelines.doctor import checks_json, checks_table, diagnose

    checks = diagnose()
    if as_json:
        typer.echo(checks_json(checks))
    else:
        Console().print(checks_table(checks))
