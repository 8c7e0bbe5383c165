"""How long the combinations of an ablation take: `python benchmarks/ablation.py FEATURES`.

FEATURES is a feature store, such as `capitoline ablate configs/ablate/posters.yaml` builds. The
bound is 60 s on two cores for 500 combinations, in seconds of CPU: what two cores have in a minute.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from harness import Row, write_rows

from capitoline.configs.ablation import Ablation
from capitoline.fusion.options import Options
from capitoline.pipelines.ablate import ablate
from capitoline.pipelines.features.store import FeatureStore

COMBINATIONS, SECONDS, CORES = 500, 60.0, 2


def cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def rows(folder: Path) -> Iterator[Row]:
    features = FeatureStore(folder).read()
    begin, cpu = time.perf_counter(), cpu_seconds()
    found = ablate(Ablation(features=str(folder)), features, Options()).findings
    wall, spent = time.perf_counter() - begin, cpu_seconds() - cpu
    count = len(found.measured)
    note = (
        f"{count:,} combinations of {', '.join(found.experts)}, val {found.splits['val'].items:,} items, intervals and "
        f"the report on test included; {wall:.0f} s of wall time on a machine that others used"
    )
    yield Row(f"CPU s for {COMBINATIONS} combinations", "a minute of two cores", spent * COMBINATIONS / count,
              SECONDS * CORES, "<= 1", note)  # fmt: skip
    yield Row("CPU s for all combinations", "a minute of two cores", spent, SECONDS * CORES, "<= 1", note)


if __name__ == "__main__":
    write_rows("ablation", rows(Path(sys.argv[1])))
