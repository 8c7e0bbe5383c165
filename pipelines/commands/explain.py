"""Why one item got its rating: `capitoline explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from capitoline.pipelines.commands.common import Out, told_plainly


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

    with told_plainly():
        explanation = explain(out, item)
    Console().print(render(explanation))
