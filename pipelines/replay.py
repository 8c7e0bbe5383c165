"""Decides a finished job again, from the evidence that it kept: no media, no experts.

    replay(Path("results"), load_settings(Path("new.yaml")))

Every item gets what rating it anew with that configuration would give it. What the experts
rest on (weights, scale, decoding, limits) must therefore be as it was; experts may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.configs.settings import Settings
from capitoline.modalities.atomic import write_atomically
from capitoline.pipelines.assembly import build_decider, build_shadow
from capitoline.pipelines.columns import RATINGS, verdict_columns
from capitoline.pipelines.experts import weights_digests
from capitoline.pipelines.fingerprint import RUN_FILE, Fingerprint, advice_on_weights, changes, fingerprint
from capitoline.pipelines.moves import MOVES_FILE, Moves, count_moves, pairs_of
from capitoline.pipelines.recorded import EVIDENCE_COLUMNS, Recorded, finished_job, read_part, recorded_items
from capitoline.pipelines.records import Decide, Record
from capitoline.pipelines.store import Store

EVIDENCE_FROM = ("scale", "scale_from", "limits", "decoding")
"""Settings that evidence depends on, beside the experts'."""


@dataclass(frozen=True, slots=True)
class Move:
    """An item that another decider rates otherwise."""

    item_id: str
    digest: str
    before: str
    after: str
    review: tuple[str, ...]
    """Why a person should look at it now."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    moves: Moves
    moved: tuple[Move, ...]
    """In the order of the job's manifest."""


def replay(results: Path, settings: Settings, out: Path | None = None) -> Replayed:
    """Decides the job in `results` again as `settings` say; writes ratings and moves to `out` if given.

    Raises:
        ValueError: `results` holds no finished job, `settings` ask for evidence that it does not
            have (the message says what differs), or `out` holds a job.
    """
    refuse_other_evidence(finished_job(results), settings)
    if out is not None and (out / RUN_FILE).exists():
        raise ValueError(f"{out} holds a job of its own, whose ratings a replay would overwrite; give --out another")
    decide = Decide(build_decider(settings), build_shadow(settings))
    names = [expert.name for expert in settings.experts]
    store, pairs = Store(results), pairs_of([], [])
    moved: list[Move] = []
    for shard in sorted(store.committed()):
        before = read_part(store.part("ratings", shard))
        evidence = read_part(store.part("evidence", shard), EVIDENCE_COLUMNS)
        records = [_decided(decide, one) for one in recorded_items(before, evidence, names)]
        ratings = before["rating"].to_pylist()
        pairs += pairs_of(ratings, [record.verdict.rating for record in records])
        moved += _moves(ratings, records)
        if out is not None:
            _write_part(Store(out).part("ratings", shard), _with_verdicts(before, records))
    replayed = Replayed(count_moves(settings.scale, pairs), tuple(moved))
    if out is not None:
        lines = [json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in moved]
        write_atomically(out / MOVES_FILE, lambda path: path.write_text("".join(lines), encoding="utf-8"))
    return replayed


def refuse_other_evidence(job: Fingerprint, settings: Settings) -> None:
    """Raises ValueError unless the job's experts, and what they rest on, are those that `settings` ask for."""
    asked = fingerprint(settings, job.manifest, job.items, job.shards, weights_digests(settings))
    names = [expert["name"] for expert in asked.settings["experts"]]
    if lines := [*changes(_evidence_of(job, names), _evidence_of(asked, names)), *advice_on_weights(job, asked)]:
        raise ValueError(
            "the configuration asks for evidence that this job does not have; rate the media again with it, or take "
            "the job's own with another `decider`. What differs:\n  " + "\n  ".join(lines)
        )


def _evidence_of(job: Fingerprint, names: Sequence[str]) -> dict[str, Any]:
    """What the evidence of these experts depends on."""
    experts = {expert["name"]: expert for expert in job.settings["experts"]}
    kept = {name: job.settings[name] for name in EVIDENCE_FROM}
    return {
        "weights": {name: job.weights[name] for name in names if name in job.weights},
        "settings": {**kept, "experts": {name: experts[name] for name in names if name in experts}},
    }


def _decided(decide: Decide, recorded: Recorded) -> Record:
    decoded, evidence = recorded
    return decide([decoded], *([one] for one in evidence))[0]


def _moves(ratings: Sequence[str], records: Sequence[Record]) -> Iterator[Move]:
    for before, record in zip(ratings, records, strict=True):
        verdict = record.verdict
        if verdict.rating != before:
            yield Move(verdict.item_id, verdict.digest, before, verdict.rating, verdict.review)


def _with_verdicts(before: pa.Table, records: Sequence[Record]) -> pa.Table:
    """The ratings of a part with what was decided now in the place of what was decided then."""
    rows = [verdict_columns(record) for record in records]
    for name in rows[0]:
        column = before.schema.get_field_index(name)
        before = before.set_column(
            column, RATINGS.field(name), pa.array([row[name] for row in rows], RATINGS.field(name).type)
        )
    return before


def _write_part(path: Path, ratings: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: pq.write_table(ratings, temporary, compression="zstd"))
