"""Rates 200, 1,000 and 2,000 posters with their plots and genres: speed, CPU by stage, peak memory.

    python benchmarks/archive.py

Memory must be flat, and orchestration (all CPU but decoding and the experts' own compute: the
driver, Ray, the start of processes, imports) under a tenth of the CPU. Writes
`benchmarks/results/archive.json`.
"""

from __future__ import annotations

import gzip
import itertools
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from harness import Row, write_rows
from processes import Usage, watch

from capitoline.pipelines.lane import START_UP
from capitoline.pipelines.store import read_ratings

DATA = Path(os.environ.get("CAPITOLINE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
COUNTS = (200, 1_000, 2_000)
NOT_COMPUTE = (START_UP, "decide")
"""Stages that are neither decoding nor an expert's own compute."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = {count: rate_posters(count, Path(folder)) for count in COUNTS}
    (least, _), (most, stages) = runs[COUNTS[0]], runs[COUNTS[-1]]
    compute = stages.total() - sum(stages[stage] for stage in NOT_COMPUTE)
    overhead = most.cpu_seconds - compute
    write_rows(
        "archive",
        [
            Row(
                f"CPU s besides decoding and experts, {COUNTS[-1]} posters",
                "all",
                overhead,
                most.cpu_seconds,
                "<= 0.10",
            ),
            Row(
                f"peak bytes, {COUNTS[-1]} posters",
                f"{COUNTS[0]} posters",
                most.peak_bytes,
                least.peak_bytes,
                "<= 1.10",
            ),
        ],
    )


def rate_posters(count: int, folder: Path) -> tuple[Usage, Counter[str]]:
    """Rates the first `count` posters on Ray; prints and returns what it took."""
    manifest, out = folder / f"posters-{count}.jsonl", folder / f"out-{count}"
    with gzip.open(DATA / "posters_mm.jsonl.gz", "rt", encoding="utf-8") as file:
        manifest.write_text("".join(itertools.islice(file, count)), encoding="utf-8")
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "rate", str(manifest), "--out", str(out), "--quiet"]
    columns = ["--columns", "tags=genres,image=poster", "--media", str(DATA / "posters_mm.zip"), "--where", "ray"]
    usage = watch([*command, *columns])
    stages: Counter[str] = Counter()
    for table in read_ratings(out):
        for seconds in table.column("seconds").to_pylist():
            stages.update(dict(seconds))
    print(
        f"{count:5,} posters  {usage.wall_seconds:7.1f} s  {count / usage.wall_seconds:6.1f} items/s  "
        f"{usage.cpu_seconds:7.1f} CPU s  peak {usage.peak_bytes / 2**20:6,.0f} MB  exit code {usage.code}"
    )
    for stage, seconds in [*stages.most_common(), ("driver and Ray", usage.cpu_seconds - stages.total())]:
        print(f"      {stage:15} {seconds:8.1f} CPU s  {seconds / usage.cpu_seconds:6.1%}")
    assert START_UP in stages, "the lanes did not count their start"
    return usage, stages


if __name__ == "__main__":
    main()
