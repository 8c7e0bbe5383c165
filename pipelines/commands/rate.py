"""Rates what is given: `capitoline rate`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import ALL_RATED, SOME_NOT_RATED, Where, told_plainly


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
    job: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Rate nothing here: print the `ray job submit` that runs this very command on the cluster with "
            "this job server, such as http://head:8265.",
        ),
    ] = "",
) -> None:
    """Rate every item in PATHS and write ratings, evidence and a report.

    In the output folder: `ratings/` and `evidence/` (Parquet), `summary.json`, `report.html`.

    Exit code: **0** all rated, **3** some item is unrated or has a part that failed, **2** usage.

        capitoline rate photos/ clips.zip --out results

        capitoline rate films.csv --columns text=plot,tags=genres,image=poster --media posters.zip

    As a job on a Ray cluster, with the media where all its nodes find them, also after this terminal is closed:

        capitoline rate /media --out /results --job http://head:8265       # prints what to run

        ray job submit --address http://head:8265 -- capitoline rate /media --out /results --address auto --quiet

    On Kubernetes: configs/kubernetes/rayjob.yaml.
    """
    import pyarrow as pa
    from rich.console import Console

    from capitoline.configs.settings import load_settings
    from capitoline.pipelines.job import Request
    from capitoline.pipelines.progress import progress_bar
    from capitoline.pipelines.rating import rate_request
    from capitoline.pipelines.sources.columns import Columns
    from capitoline.pipelines.submission import submission
    from capitoline.pipelines.table import summary_table

    if job:
        named = {"--out": out, "--config": config, "--columns": columns, "--media": media}
        flags = {"--allow-outside": allow_outside, "--retry-errors": retry_errors, "--jsonl": jsonl}
        typer.echo(shlex.join(submission(job, paths, {**named, "--lanes": lanes, **flags})))
        raise typer.Exit(ALL_RATED)
    # Arrow's own allocator keeps what it freed: 10 MB that the driver of a long job would not give back.
    pa.set_memory_pool(pa.system_memory_pool())
    with told_plainly():
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
