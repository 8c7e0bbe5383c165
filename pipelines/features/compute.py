"""Features of a manifest, through the same graph as a job, and only those that are not there yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capitoline.configs.settings import Settings, VoterSettings
from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.schema import Evidence, Item, Outcome, RatingScale
from capitoline.pipelines.assembly import decode_limits, job_graph, sampling, scan_limits
from capitoline.pipelines.batches import micro_batches
from capitoline.pipelines.features.columns import evidence_row, told_of
from capitoline.pipelines.features.folds import FoldedWeights, Labelling, folded_graph
from capitoline.pipelines.features.identity import expert_weights
from capitoline.pipelines.features.merging import add_rows, settle
from capitoline.pipelines.features.store import Contents, FeatureStore, Row, Weights
from capitoline.pipelines.job import SPOOL, Progress, Request, runner_for, silent
from capitoline.pipelines.lock import locked
from capitoline.pipelines.records import Record, timed
from capitoline.pipelines.sources.scan import scan


@dataclass(frozen=True, slots=True)
class Computed:
    """What a run did."""

    items: int
    by_expert: Mapping[str, int]
    """Items that each expert looked at now; the rest had been kept."""


def compute_features(
    request: Request,
    settings: Settings,
    labelling: Labelling,
    folded: Mapping[str, FoldedWeights] | None = None,
    progress: Progress = silent,
) -> Computed:
    """Brings the store in `request.out` to the items of `request` and the experts of `settings`.

    Raises:
        ValueError: nothing to look at, a label that is not on the scale, a column that no item has,
            weights that are not there. Nothing has been computed by then.
        OSError: the folder cannot be written; call again to continue.
    """
    weights = expert_weights(settings, folded or {})
    store = FeatureStore(request.out)
    with locked(request.out):
        items = list(_items(request, settings))
        rows = label_rows(items, settings, labelling)
        missing = _missing(store, rows, weights)
        computing = _Computing(store, settings, weights, folded or {}, labelling, request.address, progress)
        computing.run([(item, row, names) for item, row, names in zip(items, rows, missing, strict=True) if names])
        settle(store, rows, weights)
        store.describe(rows, Contents(settings.scale, weights, labelling.folds, labelling.group))
        store.keep_experts(settings.experts)
    return Computed(len(items), {name: sum(name in names for names in missing) for name in weights})


def label_rows(items: Sequence[Item], settings: Settings, labelling: Labelling) -> list[Row]:
    """The items of a store, read and digested.

    Raises:
        ValueError: there are none; no item has a named column; a label that is not on the scale.
    """
    if not items:
        raise ValueError("nothing to look at: the manifest is empty")
    labelling.check(items)
    decoder, scale = Decoder(decode_limits(settings.limits), sampling(settings.decoding)), RatingScale(settings.scale)
    return [labelling.row(item, decoder.digest(item).digest, scale) for item in items]


def _items(request: Request, settings: Settings) -> Iterator[Item]:
    return scan(
        request.paths,
        scan_limits(settings.limits),
        request.out / SPOOL,
        columns=request.columns,
        media_root=request.media or None,
        allow_outside=request.allow_outside,
    )


def _missing(store: FeatureStore, rows: Sequence[Row], weights: Mapping[str, Weights]) -> list[frozenset[str]]:
    """For each row the experts that have not looked at its content with the weights that speak of it, or failed."""
    kept = {
        (name, digest): told_of(store.evidence(name, digest))
        for name, one in weights.items()
        for digest in (one.whole, *one.folds)
    }
    return [
        frozenset(name for name, one in weights.items() if row.digest not in kept[name, one.of(row.fold)])
        for row in rows
    ]


Work = tuple[Item, Row, frozenset[str]]
"""An item, what the store says of it, and the experts that are to look at it."""


class _Computing:
    """The graph at work, and what it found on its way into the store."""

    def __init__(
        self,
        store: FeatureStore,
        settings: Settings,
        weights: Mapping[str, Weights],
        folded: Mapping[str, FoldedWeights],
        labelling: Labelling,
        address: str,
        progress: Progress,
    ) -> None:
        self._store, self._settings, self._weights = store, settings, weights
        self._folded, self._labelling = folded, labelling
        self._address, self._progress = address, progress
        self._found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)

    def run(self, work: Sequence[Work]) -> None:
        """Items that the same experts are to look at go through one graph together."""
        done = 0
        self._progress(done, len(work))
        for names in sorted({names for _, _, names in work}, key=sorted):
            group = [(item, row) for item, row, wanted in work if wanted == names]
            for records in self._records(names, [item for item, _ in group]):
                self._add(records, {row.item: row for _, row in group}, names)
                done += len(records)
                self._progress(done, len(work))
            self._flush()

    def _records(self, names: frozenset[str], items: Sequence[Item]) -> Iterator[list[Record]]:
        # No decision is kept, and a fitted decider would ask for experts that are not wanted now.
        experts = tuple(expert for expert in self._settings.experts if expert.name in names)
        settings = self._settings.model_copy(update={"experts": experts, "decider": VoterSettings()})
        graph = folded_graph(job_graph(settings), settings, self._folded, self._labelling.fold)
        running = settings.running
        batches = micro_batches(0, items, running.batch_items, running.batch_bytes)
        for _, result in runner_for(graph, settings, len(items), self._address).run(batches):
            yield timed(result.values, result.seconds)

    def _add(self, records: Sequence[Record], rows: Mapping[str, Row], names: frozenset[str]) -> None:
        for record in records:
            row = rows[record.item.id]
            given = {one.expert: one for one in record.verdict.evidence}
            lost = next((one.reason for one in record.verdict.evidence if one.reason), "it was lost")
            for name in names:
                evidence = given.get(name) or Evidence(name, None, Outcome.ERROR, lost)
                self._found[name, self._weights[name].of(row.fold)].append(evidence_row(row.item, row.digest, evidence))
        if sum(map(len, self._found.values())) >= self._settings.running.shard_items * len(names):
            self._flush()

    def _flush(self) -> None:
        for (name, digest), found in self._found.items():
            add_rows(self._store, name, digest, found)
        self._found.clear()
