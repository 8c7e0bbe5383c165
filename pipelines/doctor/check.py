"""One finding of the doctor, and how findings are shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from capitoline.pipelines.printable import printable

if TYPE_CHECKING:
    from rich.table import Table


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Works, slower or with less."""
    MISSING = "missing"
    """Some item cannot be rated without it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    advice: str = ""
    """What to do; empty if nothing need be done."""


def attempt(name: str, probe: Callable[[], list[Check]]) -> list[Check]:
    """The probe's checks; a probe that breaks, as a half-installed library does on import, is a finding."""
    try:
        return probe()
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        return [Check(name, State.MISSING, found, "reinstall: pip install --force-reinstall capitoline")]


def checks_json(checks: Sequence[Check]) -> str:
    """For other programs: a JSON array of objects with a check's fields."""
    return json.dumps([asdict(check) for check in checks], indent=2)


def checks_table(checks: Sequence[Check]) -> Table:
    """For the terminal: what was found, and under it the advice."""
    from rich.table import Table
    from rich.text import Text

    styles = {State.OK: "green", State.WARN: "yellow", State.MISSING: "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        found = Text(printable(check.found))
        if check.advice:
            found.append(f"\n→ {printable(check.advice)}", styles[check.state])
        table.add_row(Text(check.name), Text(check.state, styles[check.state]), found)
    return table
