"""A labelled file divided into train, val and test: what the experts learn from, and what they are asked about."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capitoline.configs.feature_build import FeatureBuild
from capitoline.pipelines.features.store import TRAIN
from capitoline.pipelines.training.dataset import group_of, labelled_rows
from capitoline.pipelines.training.folds import place_of

TEST = "test"


@dataclass(frozen=True, slots=True)
class Division:
    """The files that a division wrote."""

    training: Path
    """A data folder for the trainer: the rows of train and val, and the media beside them."""
    manifest: Path
    """All rows, each with its split."""
    digest: str
    """BLAKE2b-128 over the rows and their splits."""


def divide(settings: FeatureBuild, data: Path, out: Path, files: Iterable[str]) -> Division:
    """Divides `settings.file` under `data` into files under `out`.

    `files` are those that the trainings read: the labelled one is written anew without its test
    rows, so that no training can so much as report on them; the others are linked.

    Raises:
        ValueError: the file is missing, or a row is not an object with `id` and `split`.
    """
    source = data / settings.file
    rows = [{**row, "split": _split(row, settings)} for row in labelled_rows(source)]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    training, manifest = out / "data", out / "manifest.jsonl"
    training.mkdir(parents=True, exist_ok=True)
    manifest.write_text("".join(lines), encoding="utf-8")
    for name in sorted(set(files) - {settings.file}):
        _link(training / name, data / name)
    kept = "".join(line for row, line in zip(rows, lines, strict=True) if row["split"] != TEST).encode()
    (training / settings.file).write_bytes(gzip.compress(kept, mtime=0) if source.suffix == ".gz" else kept)
    return Division(training, manifest, hashlib.blake2b("".join(lines).encode(), digest_size=16).hexdigest())


def _split(row: Mapping[str, Any], settings: FeatureBuild) -> str:
    """As in the file, but for a share of the groups of train."""
    split = str(row["split"])
    chosen = place_of(group_of(row, settings.group), "test") < settings.test_share
    return TEST if split == TRAIN and chosen else split


def _link(link: Path, target: Path) -> None:
    if not target.exists():
        raise ValueError(f"{target} is missing, which a training reads")
    link.unlink(missing_ok=True)
    link.symlink_to(target.resolve())
