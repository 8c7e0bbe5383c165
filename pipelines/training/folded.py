"""A training in folds: K weight files, each of which never saw the rows of its fold, and one that saw all.

What is learned on top of experts (fusion) must learn from what they say about rows they never saw.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from capitoline.configs.training import Training
from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.weights import sha256
from capitoline.pipelines.training.corpus import Rows
from capitoline.pipelines.training.dataset import Example
from capitoline.pipelines.training.folds import fold_of

FOLDS = "folds.json"
WHOLE = "whole"
"""The folder of the run that leaves no fold out."""


def fold_folder(out: Path, fold: int) -> Path:
    return out / f"fold-{fold}"


def without_fold(rows: Rows, fold: int, folds: int) -> Rows:
    """`rows` of the split train without those of one fold, which the run is then reported on.

    Raises:
        ValueError: nothing is left to learn from or to choose on.
    """
    train, left = _cut(rows.train, fold, folds)
    selection, also_left = _cut(rows.selection, fold, folds)
    if not (train and selection and left):
        raise ValueError(f"too few groups for {folds} folds: fold {fold} would have no rows on one of its sides")
    return Rows(train, selection, [*left, *also_left])


def _cut(examples: Sequence[Example], fold: int, folds: int) -> tuple[list[Example], list[Example]]:
    """Examples outside and inside the fold."""
    parts: tuple[list[Example], list[Example]] = [], []
    for example in examples:
        parts[fold_of(example.group, folds) == fold].append(example)
    return parts


def write_folds(out: Path, weights: Sequence[Path], settings: Training) -> None:
    """`folds.json`, the sign that all runs are done."""
    groups = {source.file: source.group for source in settings.sources}
    ((commonest, _),) = Counter(source.group for source in settings.sources).most_common(1)
    found = {
        "folds": len(weights),
        "weights": [str(path.relative_to(out)) for path in weights],
        "sha256": [sha256(path) for path in weights],
        "group": commonest,
        "groups": groups,
    }
    text = json.dumps(found, indent=2)
    write_atomically(out / FOLDS, lambda path: path.write_text(text, encoding="utf-8"))
