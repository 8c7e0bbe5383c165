"""The default settings: `capitoline settings`."""

from __future__ import annotations

import typer


def settings() -> None:
    """Print the default settings as YAML with their meanings: a start for a `--config` file."""
    from capitoline.configs.settings import Settings
    from capitoline.pipelines.commented import commented_yaml

    typer.echo(commented_yaml(Settings()), nl=False)
