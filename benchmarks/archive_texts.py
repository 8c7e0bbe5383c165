"""Texts a second by the whole job, against Ray Data with sentence-transformers' all-MiniLM-L6-v2 and a linear head."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from archive_jobs import CORES, Scale, rate, texts
from harness import Row
from processes import Usage, watch

COUNT = 50_000
OF_PEER = (500, 2_500)
"""Texts of the peer's two jobs; the rate is that of the difference, so that its start costs it nothing."""


def text_rows(scale: Scale) -> Iterator[Row]:
    count = scale.of(COUNT)
    ours = rate(texts(count, scale.folder), scale.folder / "texts", CORES)
    few, many = OF_PEER  # at any scale: fewer say nothing
    less, more = (peer_usage(texts(one, scale.folder)) for one in OF_PEER)
    note = (
        f"start, scan and report included; the peer's rate is of {many - few:,} texts drawn from the same, without its "
        "start, a block an actor"
    )
    work, peer, extra = f"{count:,} texts", "Ray Data, MiniLM, linear", many - few
    wall, cpu = more.wall_seconds - less.wall_seconds, more.cpu_seconds - less.cpu_seconds
    yield Row(f"{work} (items/s)", peer, count / ours.wall_seconds, extra / wall, ">= 5", note)
    yield Row(f"{work} (items a CPU s)", peer, count / ours.cpu_seconds, extra / cpu, ">= 5", note)


def peer_usage(manifest: Path) -> Usage:
    """The peer's pipeline, in processes and a Ray of its own."""
    usage = watch([sys.executable, str(Path(__file__).with_name("archive_peer.py")), str(manifest), str(CORES)])
    if usage.code:
        raise RuntimeError(f"the peer's job ended with exit code {usage.code}: {usage.said}")
    return usage
