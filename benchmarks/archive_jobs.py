"""Manifests of real posters and texts, and jobs over them as a user starts them: what `archive.py`'s parts share."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import Usage, watch

from capitoline.pipelines.store import read_ratings

DATA = Path(os.environ.get("CAPITOLINE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
POSTER_COLUMNS = "tags=genres,image=poster"
CORES = len(os.sched_getaffinity(0))
SEED = 6


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the work is."""

    share: float
    folder: Path
    """For manifests, films and outputs; removed at the end."""

    def of(self, count: int) -> int:
        """`count` of the full table, at this scale."""
        return max(1, round(self.share * count))


def posters(count: int, folder: Path) -> Path:
    """A manifest of the first `count` film posters with plots and genres."""
    manifest = folder / f"posters-{count}.jsonl"
    with gzip.open(DATA / "posters_mm.jsonl.gz", "rt", encoding="utf-8") as file:
        manifest.write_text("".join(itertools.islice(file, count)), encoding="utf-8")
    return manifest


def texts(count: int, folder: Path, longest: int = 1 << 20, tags: bool = False) -> Path:
    """A manifest of `count` texts drawn from all sets that have texts; `longest` is of their characters.

    Where there are too few they come again under other ids. With `tags`, each has two of its own words as tags.
    """
    drawn = [text for text in all_texts() if len(text) <= longest]
    random.Random(SEED).shuffle(drawn)
    manifest = folder / f"texts-{count}{'-tagged' * tags}.jsonl"
    with manifest.open("w", encoding="utf-8") as file:
        for number, text in enumerate(itertools.islice(itertools.cycle(drawn), count)):
            row = {"id": f"text-{number}", "text": text, **({"tags": text.split()[:2]} if tags else {})}
            file.write(json.dumps(row) + "\n")
    return manifest


def all_texts() -> Iterator[str]:
    """The texts of every set of the data folder, tweets and synopses alike."""
    for path in sorted(DATA.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (row["text"] for row in map(json.loads, lines) if row.get("text"))


def rate_posters(manifest: Path, out: Path, lanes: int = CORES) -> Usage:
    return rate(manifest, out, lanes, "--columns", POSTER_COLUMNS, "--media", str(DATA / "posters_mm.zip"))


def rate(manifest: Path, out: Path, lanes: int, *options: str) -> Usage:
    """`capitoline rate` on a Ray of its own, held to as many cores as there are lanes."""
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "rate", str(manifest), "--out", str(out), "--quiet"]
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:lanes]))
    usage = watch(["taskset", "-c", cores, *command, "--where", "ray", "--lanes", str(lanes), *options])
    print(
        f"      {manifest.name} on {lanes} cores: {usage.wall_seconds:.1f} s, {usage.cpu_seconds:.1f} CPU s, peak "
        f"{usage.peak_bytes / 2**20:,.0f} MB, exit code {usage.code}",
        flush=True,
    )
    if usage.code not in (0, 3):
        raise RuntimeError(f"the job over {manifest.name} ended with exit code {usage.code}: {usage.said}")
    return usage


def stages(out: Path) -> Counter[str]:
    """CPU seconds by stage, as the job's own records have them."""
    total: Counter[str] = Counter()
    for table in read_ratings(out):
        for seconds in table.column("seconds").to_pylist():
            total.update(dict(seconds))
    return total
