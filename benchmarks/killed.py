"""One job of 5,000 items, killed 20 times at random: driver, lanes, decoders, the GCS of its Ray.

    python benchmarks/killed.py [seed]

The same command is given again after each death of the driver; in the end every item must be there once, with results
equal to the bit to those of a job that nothing happened to. Writes `benchmarks/results/killed.json`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from harness import Row, write_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests of faults have the means

from tests.faults.corpus import Corpus, make_corpus
from tests.faults.disturbing import run_disturbed
from tests.faults.jobs import ENDED, command, completed, results
from tests.faults.nodes import Nodes
from tests.faults.schedule import Setting, drawn_for

ITEMS, KILLS = 5_000, 20
SHARD, BATCH = 25, 8
PICTURES = 5
"""One item in so many has a picture: the job must last longer than lanes need to start again after each kill."""
SEED = 1


def main(arguments: Sequence[str] = ()) -> None:
    seed = int(arguments[0]) if arguments else SEED
    with tempfile.TemporaryDirectory() as folder:
        corpus = make_corpus(Path(folder) / "corpus", ITEMS, SHARD, BATCH, PICTURES)
        undisturbed, disturbed = Path(folder) / "undisturbed", Path(folder) / "disturbed"
        wall, _ = _rate(corpus, undisturbed, 0, seed)
        wall_killed, kills = _rate(corpus, disturbed, KILLS, seed)
        equal = _equal_items(undisturbed, disturbed)
    note = f"seed {seed}, {wall_killed:.0f} s of wall time, {wall:.0f} s undisturbed"
    write_rows(
        "killed",
        [
            Row(f"kills that fell in one job of {ITEMS:,} items", f"{KILLS} asked for", kills, KILLS, ">= 1"),
            Row("its items, each once, with equal results", "undisturbed job", equal, ITEMS, ">= 1", note),
        ],
    )


def _rate(corpus: Corpus, out: Path, kills: int, seed: int) -> tuple[float, int]:
    """Wall seconds of the job with so many kills, and how many of them fell."""
    arguments = command([corpus.manifest], out, corpus.configs["fused"], "--where", "ray")
    started = time.monotonic()
    fallen = run_disturbed(drawn_for(Setting.LOCAL, kills, seed), arguments, out, corpus, Nodes())
    ended = completed(arguments)
    assert ended.code in ENDED, ended
    return time.monotonic() - started, fallen


def _equal_items(undisturbed: Path, disturbed: Path) -> int:
    """Items of shards that are equal to the bit, ratings and evidence."""
    here, there = results(disturbed), results(undisturbed)
    same = {name for name, rows in there.items() if name in here and rows.equals(here[name])}
    shards = [name.removeprefix("ratings ") for name in same if name.startswith("ratings ")]
    return sum(len(there[f"ratings {shard}"]) for shard in shards if f"evidence {shard}" in same)


if __name__ == "__main__":
    main(sys.argv[1:])
