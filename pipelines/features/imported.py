"""Features out of a finished job: `capitoline rate` keeps all that its experts said, pre-logits included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import Item, Outcome, RatingScale
from capitoline.pipelines.features.folds import Labelling
from capitoline.pipelines.features.identity import evidence_key
from capitoline.pipelines.features.merging import add_rows, settle
from capitoline.pipelines.features.store import Contents, FeatureStore, Row, Weights
from capitoline.pipelines.lock import locked
from capitoline.pipelines.recorded import finished_job
from capitoline.pipelines.store import read_evidence, read_ratings


def import_job(results: Path, out: Path, labelling: Labelling) -> int:
    """Writes what the job in `results` found to the store in `out`; the number of its items.

    Raises:
        ValueError: `results` holds no job, or not a whole one; a label that is not on its scale.
    """
    job = finished_job(results)
    settings = Settings.model_validate(job.settings)
    weights = {
        expert.name: Weights(evidence_key(expert, settings, job.weights[expert.name]), serves=job.weights[expert.name])
        for expert in settings.experts
    }
    store, rows = FeatureStore(out), _rows(results, labelling, RatingScale(settings.scale))
    with locked(out):
        for name, found in _evidence(results, rows, sorted(weights)).items():
            add_rows(store, name, weights[name].whole, found)
        settle(store, rows, weights)
        store.describe(rows, Contents(settings.scale, weights, group=labelling.group))
    return len(rows)


def _rows(results: Path, labelling: Labelling, scale: RatingScale) -> list[Row]:
    columns = ["item_id", "digest", "metadata"]
    found = [row for table in read_ratings(results) for row in table.select(columns).to_pylist()]
    items = [Item(row["item_id"], metadata=dict(row["metadata"])) for row in found]
    labelling.check(items)
    return [labelling.row(item, row["digest"], scale) for item, row in zip(items, found, strict=True)]


def _evidence(results: Path, rows: Sequence[Row], experts: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """For each expert a row an item; an item that killed its process has no word of any, and is an error of all."""
    columns = ["item_id", "expert", "outcome", "severity", "probabilities", "features", "seconds"]
    told = {
        (row["expert"], row["item_id"]): row
        for table in read_evidence(results)
        for row in table.select(columns).to_pylist()
    }
    lost = {"outcome": str(Outcome.ERROR), "seconds": 0.0}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name in experts:
        for row in rows:
            evidence = {**told.get((name, row.item), lost), "item": row.item, "digest": row.digest, "unseen": False}
            found[name].append(evidence)
    return found
