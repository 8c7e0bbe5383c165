"""The progress bar of a job: items, rate, time left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from capitoline.pipelines.job import Progress as Report
from capitoline.pipelines.job import silent


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f} items/s" if task.speed else "", "dim")


@contextmanager
def progress_bar(quiet: bool, doing: str = "rating") -> Iterator[Report]:
    """A callback that draws a bar on standard error, or none if `quiet` or nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading the manifest", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        yield report
