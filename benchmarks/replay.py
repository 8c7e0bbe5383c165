"""What replaying a job costs: `capitoline replay` of 2,000 items, from the shell.

    python benchmarks/replay.py

The job is synthetic: seven experts' evidence about each item, 64 pre-logits each, drawn at random and
written as a job writes it. CPU seconds of the whole command, interpreter and imports included, median of three:
it runs on one core, so on a machine that has nothing else to do these are the seconds on the clock.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from harness import Row, write_rows

from capitoline.configs.settings import MeanSettings, Settings, VoterSettings
from capitoline.modalities.schema import UNRATED, Evidence, Item, Modality, Outcome, Verdict
from capitoline.pipelines.experts import KINDS, weights_digests
from capitoline.pipelines.fingerprint import fingerprint
from capitoline.pipelines.records import Record
from capitoline.pipelines.store import Store

ITEMS, SHARD, WIDTH = 2_000, 1_000, 64
MOST_SECONDS = 3.0


def make_job(out: Path, settings: Settings) -> None:
    """Writes the job's tables and its fingerprint."""
    draw, store = np.random.default_rng(0), Store(out)
    store.prepare()
    for shard in range(ITEMS // SHARD):
        store.commit(shard, [record(f"item {shard * SHARD + one}", settings, draw) for one in range(SHARD)])
    fingerprint(settings, "synthetic", ITEMS, ITEMS // SHARD, weights_digests(settings)).write(out)


def record(item: str, settings: Settings, draw: np.random.Generator) -> Record:
    evidence = []
    for expert in settings.experts:
        modality = KINDS[expert.kind].looks_at[0]
        probabilities = draw.dirichlet(np.ones(len(settings.scale))).astype(np.float32)
        evidence.append(
            Evidence(
                expert.name,
                modality,
                Outcome.RATED,
                probabilities=tuple(probabilities.tolist()),
                severity=int(probabilities.argmax()),
                features=draw.normal(size=WIDTH).astype(np.float32),
            )
        )
    verdict = Verdict(item, "0" * 32, UNRATED, None, "synthetic", tuple(evidence))
    return Record(Item(item), verdict, tuple(Modality), "A text.", ("a tag",), (), {})


def seconds(results: Path, config: Path) -> float:
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "replay", str(results), "--config", str(config)]
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(taken)


def main() -> None:
    settings = Settings()
    deciders = {"voter, upper_median": VoterSettings(rule="upper_median"), "mean": MeanSettings()}
    with tempfile.TemporaryDirectory() as folder:
        results, config = Path(folder) / "job", Path(folder) / "new.yaml"
        make_job(results, settings)
        rows = []
        for name, decider in deciders.items():
            changed = settings.model_copy(update={"decider": decider}).model_dump(mode="json")
            config.write_text(yaml.safe_dump(changed), encoding="utf-8")
            rows.append(
                Row(f"replay of {ITEMS:,} items: {name}", "3 s", seconds(results, config), MOST_SECONDS, "<= 1")
            )
        write_rows("replay", rows)


if __name__ == "__main__":
    main()
