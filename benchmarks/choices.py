"""What the trainer's choices bring, one at a time, on film posters' plots.

    python benchmarks/choices.py ../shared/data [--seeds 3]

Each row trains the same small expert with one choice changed and compares quadratic weighted kappa on
the validation rows, the mean over the seeds; the note has the spread of both and their down-class rates.
Nothing is chosen by it: the shipped weights were made before it was written, and 247 rows cannot tell
apart what differs by less than 0.05.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from harness import Row, write_rows

from capitoline.modalities.weights import read_metadata
from capitoline.pipelines.train import train

SOURCE = {"file": "posters_mm.jsonl.gz", "columns": ["text"], "licence": "none stated"}

BASE: dict[str, Any] = {
    "kind": "text",
    "name": "choice",
    "purpose": "A comparison of choices in training.",
    "start": "trunk",
    "network": {"width": 256, "layers": 2, "features": 64, "dropout": 0.3},
    "epochs": 3,
    "batch": 32,
    "rate": 1.0e-3,
    "trunk_rate": 0.4,
    "warmup": 30,
    "forget": 0.2,
    "window": 128,
    "balance": 0.3,
    "down_cost": 1.5,
    "sources": [SOURCE],
}

CHOICES: dict[str, dict[str, Any]] = {
    "reasons, weight 0.1": {"sources": [SOURCE | {"reason": {"column": "mpaa_reason", "weight": 0.1}}]},
    "reasons, weight 0.5": {"sources": [SOURCE | {"reason": {"column": "mpaa_reason", "weight": 0.5}}]},
    "loss: cumulative": {"loss": "cumulative"},
    "loss: soft": {"loss": "soft"},
    "loss: cross_entropy": {"loss": "cross_entropy"},
    "n-grams beside the trunk": {"wide": {"heads": ["text"]}},
    "from scratch": {"start": "", "network": BASE["network"], "epochs": 6},
    "head only": {"tuning": "head"},
    "no lift of rare labels": {"balance": 0.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_rows("choices", _rows(Path(folder), given.data, given.seeds))


def _rows(folder: Path, data: Path, seeds: int) -> Iterator[Row]:
    plain = _figures(folder / "plain", BASE, data, seeds)
    for number, (name, change) in enumerate(CHOICES.items()):
        changed = _figures(folder / str(number), BASE | change, data, seeds)
        (ours, down), (theirs, their_down) = (map(statistics.mean, zip(*one, strict=True)) for one in (changed, plain))
        note = f"±{_spread(changed)} against ±{_spread(plain)}; down-class {down:.3f} against {their_down:.3f}"
        yield Row(f"posters' plots, QWK: {name}", "corn, no reasons, trunk", ours, theirs, "", note)


def _figures(folder: Path, settings: dict[str, Any], data: Path, seeds: int) -> list[tuple[float, float]]:
    """(kappa, down-class rate) on the validation rows, for each seed."""
    folder.mkdir()
    found = []
    for seed in range(seeds):
        path = folder / f"{seed}.yaml"
        path.write_text(yaml.safe_dump(settings | {"seed": seed}), encoding="utf-8")
        (figures,) = read_metadata(train(path, folder / str(seed), data))["validation"].values()
        found.append((figures["kappa"], figures["down_rate"]))
    return found


def _spread(figures: list[tuple[float, float]]) -> str:
    kappas = [kappa for kappa, _ in figures]
    return f"{statistics.stdev(kappas):.3f}" if len(kappas) > 1 else "?"


if __name__ == "__main__":
    main()
