"""Posters with plots and genres: the whole job beside its pure compute, and on one core beside several."""

from __future__ import annotations

from collections.abc import Iterator

from archive_jobs import CORES, Scale, posters, rate_posters, stages
from archive_pure import pure_seconds
from harness import Row

COUNT = 2_000


def poster_rows(scale: Scale) -> Iterator[Row]:
    """The job's wall time has its start, Ray's, its scan and its report in it."""
    count = scale.of(COUNT)
    manifest = posters(count, scale.folder)
    out = scale.folder / "posters"
    whole = rate_posters(manifest, out)
    for stage, seconds in stages(out).most_common():
        print(f"      {stage:12} {seconds:8.2f} CPU s in the job", flush=True)
    cpu, wall = pure_seconds(manifest)
    work = f"{count:,} posters, whole job"
    note = f"{count / whole.wall_seconds:.1f} items/s; alone: decoder and experts without graph, Ray, guard and tables"
    yield Row(f"{work} (CPU s)", "pure compute alone", whole.cpu_seconds, cpu, "<= 1.25", note)
    yield Row(f"{work} (wall s)", f"pure compute, {CORES} processes", whole.wall_seconds, wall, "<= 1.25", note)
    if CORES == 2:
        one = rate_posters(manifest, scale.folder / "posters-one-core", lanes=1)
        rates = count / whole.wall_seconds, count / one.wall_seconds
        yield Row(f"{count:,} posters, 2 cores (items/s)", "1 core", *rates, ">= 1.8", "start and report included")
