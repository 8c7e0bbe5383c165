"""Rates what arrives: `capitoline watch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capitoline.pipelines.commands.common import told_plainly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capitoline.pipelines.records import Record


def watch(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, an object store's prefix by fsspec URL, `-`: JSON lines on standard input, or a Kafka "
            "topic of such lines: kafka://HOST:PORT[,HOST:PORT]/TOPIC?group=NAME"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results. The same command again goes on with it.")],
    config: Annotated[Path | None, typer.Option(help="YAML file of settings, as for `rate`.")] = None,
    max_wait: Annotated[
        float, typer.Option(min=0.0, help="Seconds that an item waits for others to be rated with.")
    ] = 5.0,
    settle: Annotated[
        float, typer.Option(min=0.0, help="Seconds without a change after which a file counts as whole.")
    ] = 2.0,
    poll: Annotated[float, typer.Option(min=0.01, help="Seconds between two looks at the folder.")] = 1.0,
    until_idle: Annotated[
        float | None, typer.Option(min=0.0, help="End after so many seconds without an arrival; if not given, never.")
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="Items that may wait; beyond that SOURCE is not read.")] = 256,
    columns: Annotated[
        str, typer.Option(help="What the fields of a JSON line mean, as for `rate`: `text=plot,image=poster`.")
    ] = "",
    media: Annotated[str, typer.Option(help="Folder that holds the media of JSON lines.")] = ".",
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let JSON lines name URLs and files outside that folder.")
    ] = False,
    kafka_properties: Annotated[
        Path | None,
        typer.Option(
            envvar="CAPITOLINE_KAFKA_PROPERTIES",
            help="File of the Kafka client's properties, `name=value`: credentials, certificates.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Serve figures for Prometheus here; 0: a free port.")
    ] = None,
    metrics_host: Annotated[str, typer.Option(help="Address to serve them on; 0.0.0.0: all.")] = "127.0.0.1",
    jsonl: Annotated[bool, typer.Option("--jsonl", help="A line on standard output for each committed item.")] = False,
) -> None:
    """Rate what arrives at SOURCE, until SIGTERM, Ctrl-C or the end of the input.

    A stopped watch, and a killed one as well, goes on where it was: every item is in OUT once.

    Exit code: **0** stopped or at the end, **2** usage, **1** it could not go on.

        capitoline watch inbox/ --out results --metrics-port 9100

        producer | capitoline watch - --out results --jsonl

        capitoline watch 'kafka://broker:9092/uploads?group=ratings' --out results
    """
    from rich.console import Console

    from capitoline.configs.settings import load_settings
    from capitoline.pipelines.sources.columns import Columns
    from capitoline.pipelines.table import summary_table
    from capitoline.pipelines.watch import Watched, watch
    from capitoline.pipelines.watching.folder import Patience
    from capitoline.pipelines.watching.signals import stopped_by_signals

    with told_plainly(), stopped_by_signals() as stopping:
        watched = Watched(
            source=source,
            out=out,
            max_wait=max_wait,
            patience=Patience(poll, settle, until_idle),
            queue_items=queue,
            columns=Columns.parse(columns),
            media=media,
            allow_outside=allow_outside,
            kafka_properties=kafka_properties,
            metrics_port=metrics_port,
            metrics_host=metrics_host,
        )
        summary = watch(watched, load_settings(config), _tell if jsonl else _keep_silent, stopping)
    if summary is None:
        typer.echo(f"nothing has arrived from {source} yet; nothing was rated", err=True)
    else:
        Console(stderr=jsonl).print(summary_table(summary, out / "report.html"))


def _tell(records: Sequence[Record]) -> None:
    import json

    for record in records:
        verdict = record.verdict
        line = {
            "item_id": verdict.item_id,
            "digest": verdict.digest,
            "rating": verdict.rating,
            "severity": verdict.severity,
            "rule": verdict.rule,
            "review": verdict.review,
            "failed": verdict.failed,
        }
        typer.echo(json.dumps(line, ensure_ascii=False))


def _keep_silent(records: Sequence[Record]) -> None:
    """For those who only want the output folder."""
