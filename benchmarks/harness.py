"""What every benchmark shares: rows of a comparison, interleaved timing, and where results go.

Times are CPU seconds of this process and its threads, so that a busy machine falsifies a ratio as little as it can;
the two sides take turns, each on the core that is least disturbed at the moment, and medians are compared.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

RESULTS = Path(__file__).resolve().parent / "results"


CORES = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set[int]()
"""Those this process may use; none where it cannot choose."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison: `ours ÷ theirs` must be as `must_be` says (`>= 4`, `<= 1.05`)."""

    work: str
    peer: str
    ours: float
    theirs: float | None
    """None where the peer is not installed."""
    must_be: str
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.theirs if self.theirs else None

    @property
    def met(self) -> bool | None:
        """Whether the ratio is as it must be; None where there is no peer or no bound."""
        if self.ratio is None or not self.must_be:
            return None
        sign, bound = self.must_be.split()
        return self.ratio >= float(bound) if sign == ">=" else self.ratio <= float(bound)


def take_turns(sides: Sequence[Callable[[], object]], rounds: int = 3) -> list[float]:
    """Median CPU seconds of each side, after one unmeasured turn each."""
    for side in sides:
        side()
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, taken in zip(sides, seconds, strict=True):
            settle()
            taken.append(seconds_of(side))
    return [statistics.median(taken) for taken in seconds]


def seconds_of(work: Callable[[], object]) -> float:
    """CPU seconds that a piece of work takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def settle(side: int = 256) -> None:
    """Move this thread to the core that multiplies fastest at the moment; those it starts from now on come along.

    On a virtual machine a core is one of two threads of a real one. While somebody computes on the other, tiles take
    three times as long; such a phase lasts for seconds, on one core and not the next, and would fall to one side alone.
    """
    if not CORES:
        return
    left = torch.ones(side, side, dtype=torch.bfloat16 if half_products() else torch.float32)

    def product_on(core: int) -> float:
        os.sched_setaffinity(0, {core})
        return min(seconds_of(lambda: torch.mm(left, left)) for _ in range(5))

    os.sched_setaffinity(0, {min(CORES, key=product_on)})


def half_products() -> bool:
    """Whether this processor multiplies bfloat16; others emulate it, slowly."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def machine() -> str:
    """The processor, as its results will be read elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
        flags = next(line.split() for line in lines if line.startswith("flags"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{name}, {', '.join(known)}"


def write_rows(name: str, rows: Iterable[Row]) -> list[Row]:
    """Print the rows as they come and write them to `results/<name>.json`."""
    kept, found = [], []
    for row in rows:
        print(line(row), flush=True)
        kept.append(row)
        found.append({
            "work": row.work, "peer": row.peer, "ours": row.ours, "theirs": row.theirs, "ratio": row.ratio,
            "must_be": row.must_be, "met": row.met, "note": row.note, "machine": machine(),
        })  # fmt: skip
    record = {"date": datetime.now(UTC).date().isoformat(), "rows": found}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return kept


def line(row: Row) -> str:
    """A row for a person."""
    verdict = {True: "met", False: "NOT MET", None: ""}[row.met]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    theirs = "not installed" if row.theirs is None else f"{row.theirs:,.4g}"
    return (
        f"{row.work:48} {row.peer:28} {row.ours:>12,.4g} {theirs:>12} {ratio:>8} {row.must_be:>8} {verdict} {row.note}"
    )
