"""The command line. Each command is a thin skin over a function that Python can call too.

Exit codes: 0 every item is rated and whole; 3 some item is unrated or has a part that failed;
2 a usage error; 1 the job could not go on (a full disk, a cluster that went away).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

TABLE_WIDTH = 170
"""Characters that the table of `evaluate` needs."""

ALL_RATED, CANNOT_GO_ON, USAGE, SOME_NOT_RATED = 0, 1, 2, 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


class Where(StrEnum):
    """Where the graph runs."""

    AUTO = "auto"
    PROCESS = "process"
    RAY = "ray"


Out = Annotated[Path, typer.Argument(help="Output folder of a job.", exists=True, file_okay=False)]


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


@app.command()
def rate(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, archives (tar, tar.gz, tar.zst, zip, WebDataset shards), manifests "
            "(JSONL, CSV, Parquet); local paths or fsspec URLs such as s3://bucket/prefix."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the results. The same command again continues an interrupted job.")
    ] = Path("capitoline-results"),
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; `capitoline settings` prints the defaults.")
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            help="What a manifest's columns mean, where their names do not say: "
            "`id=imdb,text=plot,tags=genres,image=poster` (also audio, video, media)."
        ),
    ] = "",
    media: Annotated[
        str, typer.Option(help="Folder or archive that holds a manifest's media; beside the manifest if not given.")
    ] = "",
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let a manifest name URLs and files outside its folder.")
    ] = False,
    where: Annotated[
        Where | None, typer.Option(help="`auto`: in this process below a few hundred items, else on Ray.")
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            help="Ray cluster to run on: `auto` (the one of this node) or `host:port`; this machine if not given."
        ),
    ] = "",
    lanes: Annotated[int, typer.Option(help="Processes that rate side by side; 0: one for each CPU.")] = 0,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Also rate again what failed in an earlier run.")
    ] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Also write ratings.jsonl.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Rate every item in PATHS and write ratings, evidence and a report.

    In the output folder: `ratings/` and `evidence/` (Parquet), `summary.json`, `report.html`.

    Exit code: **0** all rated, **3** some item is unrated or has a part that failed, **2** usage.

        capitoline rate photos/ clips.zip --out results

        capitoline rate films.csv --columns text=plot,tags=genres,image=poster --media posters.zip
    """
    from rich.console import Console

    from capitoline.configs.settings import load_settings
    from capitoline.pipelines.job import Request
    from capitoline.pipelines.progress import progress_bar
    from capitoline.pipelines.rating import rate_request
    from capitoline.pipelines.sources.columns import Columns
    from capitoline.pipelines.table import summary_table

    with _told_plainly():
        settings = load_settings(config)
        changed = {"where": where or settings.running.where, "lanes": lanes or settings.running.lanes}
        settings = settings.model_copy(update={"running": settings.running.model_copy(update=changed)})
        request = Request(
            paths=tuple(paths),
            out=out,
            columns=Columns.parse(columns),
            media=media,
            allow_outside=allow_outside,
            address=address,
            retry_errors=retry_errors,
        )
        with progress_bar(quiet) as progress:
            summary = rate_request(request, settings, progress, jsonl)
    Console().print(summary_table(summary, out / "report.html"))
    raise typer.Exit(ALL_RATED if summary.rated == summary.items and not summary.failed else SOME_NOT_RATED)


@app.command()
def explain(
    out: Out,
    item: Annotated[str, typer.Argument(help="The item's id, or a part of it that only one id has.")],
) -> None:
    """Show why one item got its rating: ballots, probabilities, what was seen and heard, and when.

    capitoline explain results photos/beach.jpg
    """
    from rich.console import Console

    from capitoline.pipelines.explain import explain
    from capitoline.pipelines.terminal import render

    with _told_plainly():
        explanation = explain(out, item)
    Console().print(render(explanation))


@app.command()
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


@app.command()
def settings() -> None:
    """Print the default settings as YAML with their meanings: a start for a `--config` file."""
    from capitoline.configs.settings import Settings
    from capitoline.pipelines.commented import commented_yaml

    typer.echo(commented_yaml(Settings()), nl=False)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML of a training, such as configs/train/text.yaml.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command continues an interrupted one.")],
    data: Annotated[
        Path, typer.Option(envvar="CAPITOLINE_DATA", help="Folder in which the YAML's data files lie.")
    ] = Path("../shared/data"),
) -> None:
    """Train an expert's weights and write them with their card.

    capitoline train configs/train/text.yaml --out runs/text
    """
    from capitoline.pipelines.train import train

    with _told_plainly():
        weights = train(config, out, data)
    typer.echo(f"weights: {weights}")


@app.command()
def evaluate(
    configs: Annotated[list[Path], typer.Argument(help="YAML files of evaluations: configs/eval/*.yaml.", exists=True)],
    data: Annotated[
        Path, typer.Option(envvar="CAPITOLINE_DATA", help="Folder in which the YAML's data files lie.")
    ] = Path("../shared/data"),
) -> None:
    """Rate labelled rows and print the figures beside those of the commonest label and of the floors.

    capitoline evaluate configs/eval/*.yaml
    """
    from rich.console import Console

    from capitoline.pipelines.evaluate import evaluate, table_of

    with _told_plainly():
        for config in configs:
            # Figures that a narrow terminal or a pipe cuts to an ellipsis are none.
            Console(width=max(Console().width, TABLE_WIDTH)).print(table_of(evaluate(config, data)))


def main() -> None:
    """The entry point of the `capitoline` command."""
    # One thread a process: two BLAS threads on two busy cores were measured four times slower than one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    app()


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turns what the user can mend into a message and an exit code, without a traceback."""
    try:
        yield
    except ValueError as error:
        typer.echo(f"capitoline: {error}", err=True)
        raise typer.Exit(USAGE) from error
    except (OSError, RuntimeError) as error:
        typer.echo(f"capitoline: {error}; what was committed is kept, run the same command to continue", err=True)
        raise typer.Exit(CANNOT_GO_ON) from error
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command to continue", err=True)
        raise typer.Exit(130) from None


if __name__ == "__main__":
    main()
