"""The pure compute of every n-th poster of a manifest, each stage alone: no graph, no Ray, no guard, no tables.

    python benchmarks/archive_pure.py MANIFEST PART PARTS

Prints CPU and wall seconds by stage as JSON: of the decoder, and of each expert (its encoder and RWKV-7) on what was
decoded. Loading the weights is not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from archive_jobs import CORES, DATA, POSTER_COLUMNS

from capitoline.configs.settings import Settings
from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.schema import Item
from capitoline.pipelines.assembly import decode_limits, sampling, scan_limits
from capitoline.pipelines.experts import build_expert
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.scan import scan

OF_POSTERS = ("text", "tags", "thresholds", "image", "ocr")
"""Experts that see something in a poster with its plot and genres."""
BATCH = 32

Input, Output = TypeVar("Input"), TypeVar("Output")


def pure_seconds(manifest: Path) -> tuple[float, float]:
    """CPU seconds of all posters, and wall seconds of as many processes as there are cores, each on its part."""
    command = [sys.executable, __file__, str(manifest)]
    parts = [
        subprocess.Popen(
            ["taskset", "-c", str(part), *command, str(part), str(CORES)], stdout=subprocess.PIPE, text=True
        )
        for part in range(CORES)
    ]
    found = [json.loads(part.communicate()[0]) for part in parts]
    for stage in found[0]["cpu"]:
        print(f"      {stage:12} {sum(one['cpu'][stage] for one in found):8.2f} CPU s alone", flush=True)
    return sum(sum(one["cpu"].values()) for one in found), max(sum(one["wall"].values()) for one in found)


def main() -> None:
    manifest, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    items = poster_items(manifest)
    measured = Stages()
    measured.run(items[:BATCH])
    measured.cpu.clear()
    measured.wall.clear()
    mine = items[part::parts]
    for start in range(0, len(mine), BATCH):
        measured.run(mine[start : start + BATCH])
    print(json.dumps({"cpu": measured.cpu, "wall": measured.wall}))


def poster_items(manifest: Path) -> list[Item]:
    settings, columns = Settings(), Columns.parse(POSTER_COLUMNS)
    with tempfile.TemporaryDirectory() as spool:
        media = str(DATA / "posters_mm.zip")
        return list(
            scan((str(manifest),), scan_limits(settings.limits), Path(spool), columns=columns, media_root=media)
        )


class Stages:
    """The decoder and the experts, and the seconds they have taken."""

    def __init__(self) -> None:
        settings = Settings()
        self._decoder = Decoder(decode_limits(settings.limits), sampling(settings.decoding))
        self._experts = [build_expert(one, settings) for one in settings.experts if one.kind in OF_POSTERS]
        self.cpu: Counter[str] = Counter()
        self.wall: Counter[str] = Counter()

    def run(self, items: Sequence[Item]) -> None:
        decoded = self._timed("decode", self._decoder, items)
        for expert in self._experts:
            self._timed(expert.name, expert, decoded)

    def _timed(self, stage: str, work: Callable[[Input], Output], inputs: Input) -> Output:
        cpu, wall = time.process_time(), time.monotonic()
        output = work(inputs)
        self.cpu[stage] += time.process_time() - cpu
        self.wall[stage] += time.monotonic() - wall
        return output


if __name__ == "__main__":
    main()
