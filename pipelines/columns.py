"""The columns of the two tables of an output folder, and the rows that a record fills them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from capitoline.modalities.schema import Evidence
from capitoline.pipelines.records import Record

EXCERPT = 500
"""Characters of an item's text that its rating row repeats, for reports."""

Rows = list[dict[str, Any]]

_FILE = pa.struct([("source", pa.string()), ("name", pa.string()), ("size", pa.int64()),
                   ("storage", pa.string()), ("offset", pa.int64())])  # fmt: skip
_SPAN = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("text", pa.string()),
                   ("probabilities", pa.list_(pa.float32()))])  # fmt: skip
_TAG = pa.struct([("name", pa.string()), ("score", pa.float32())])

RATINGS = pa.schema(
    [
        ("item_id", pa.string()),
        ("digest", pa.string()),  # BLAKE2b-128 of text, tags and file bytes
        ("rating", pa.string()),  # a label of the scale, or UNRATED
        ("severity", pa.int8()),  # its position; null if unrated
        ("rule", pa.string()),
        ("probabilities", pa.list_(pa.float32())),  # of the decider, where it has them
        ("tied", pa.list_(pa.string())),
        ("review", pa.list_(pa.string())),  # why a person should look; empty if nobody need
        ("failed", pa.bool_()),  # some part could not be read or rated
        ("shadow_rating", pa.string()),  # of a second decider that changes nothing; null without one
        ("shadow_severity", pa.int8()),
        ("modalities", pa.list_(pa.string())),
        ("undecoded", pa.list_(pa.string())),  # those of them that could not be decoded
        ("files", pa.list_(_FILE)),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("text", pa.string()),  # the first 500 characters
        ("tags", pa.list_(pa.string())),
        ("notes", pa.list_(pa.string())),  # what was cut, salvaged or guessed
        ("seconds", pa.map_(pa.string(), pa.float64())),  # CPU seconds by node of the graph
    ]
)

EVIDENCE = pa.schema(
    [
        ("item_id", pa.string()),
        ("expert", pa.string()),
        ("modality", pa.string()),
        ("outcome", pa.string()),  # rated, abstained, absent, unsupported, error
        ("reason", pa.string()),
        ("probabilities", pa.list_(pa.float32())),
        ("severity", pa.int8()),
        ("features", pa.list_(pa.float32())),  # pre-logits, for fusion
        ("spans", pa.list_(_SPAN)),  # seconds into the film or sound, and what was heard or read there
        ("tags", pa.list_(_TAG)),
        ("seconds", pa.float64()),
    ]
)


def verdict_columns(record: Record) -> dict[str, Any]:
    """The columns of `RATINGS` that deciding fills; the others are of the item."""
    verdict, shadow = record.verdict, record.shadow
    return {
        "rating": verdict.rating,
        "severity": verdict.severity,
        "rule": verdict.rule,
        "probabilities": verdict.probabilities,
        "tied": verdict.tied,
        "review": verdict.review,
        "failed": verdict.failed or bool(record.undecoded),  # an expert may have rated by another part
        "shadow_rating": shadow.rating if shadow else None,
        "shadow_severity": shadow.severity if shadow else None,
    }


def _rating_rows(record: Record) -> Rows:
    row = {
        "item_id": record.verdict.item_id,
        "digest": record.verdict.digest,
        **verdict_columns(record),
        "modalities": [str(one) for one in record.modalities],
        "undecoded": [str(one) for one in record.undecoded],
        "files": [asdict(file) for file in record.item.files],
        "metadata": list(record.item.metadata.items()),
        "text": (record.text or "")[:EXCERPT],
        "tags": record.tags or (),
        "notes": record.notes,
        "seconds": list(record.seconds.items()),
    }
    return [row]


def _evidence_rows(record: Record) -> Rows:
    return [_evidence_row(record.item.id, one) for one in record.verdict.evidence]


def _evidence_row(item_id: str, evidence: Evidence) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "expert": evidence.expert,
        "modality": evidence.modality,
        "outcome": str(evidence.outcome),
        "reason": evidence.reason,
        "probabilities": evidence.probabilities,
        "severity": evidence.severity,
        "features": evidence.features,
        "spans": [asdict(span) for span in evidence.spans],
        "tags": [asdict(tag) for tag in evidence.tags],
        "seconds": evidence.seconds,
    }


TABLES: dict[str, tuple[pa.Schema, Callable[[Record], Rows]]] = {
    "evidence": (EVIDENCE, _evidence_rows),
    "ratings": (RATINGS, _rating_rows),
}
"""The tables in the order in which they are written: the ratings commit a shard."""
