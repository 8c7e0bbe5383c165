"""Evidence as Parquet columns and as arrays: what a store's files hold.

Legend:  N = items, K = labels, D = width of one expert's pre-logits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from capitoline.modalities.feature_set import ExpertFeatures
from capitoline.modalities.schema import Evidence, Outcome

EVIDENCE = pa.schema(
    [
        ("item", pa.string()),
        ("digest", pa.string()),  # BLAKE2b-128 of text, tags and file bytes, as in a job's ratings
        ("outcome", pa.string()),  # rated, abstained, absent, unsupported, error
        ("severity", pa.int8()),  # null if it did not rate
        ("probabilities", pa.list_(pa.float32())),
        ("features", pa.list_(pa.float32())),  # pre-logits
        ("seconds", pa.float64()),
        ("unseen", pa.bool_()),  # the weights are known not to have been trained on this row
    ]
)
"""One expert with one file of weights, a row an item."""


def evidence_row(item: str, digest: str, evidence: Evidence) -> dict[str, Any]:
    """A row of `EVIDENCE`, not yet said to be unseen."""
    return {
        "item": item,
        "digest": digest,
        "outcome": str(evidence.outcome),
        "severity": evidence.severity,
        "probabilities": evidence.probabilities,
        "features": evidence.features,
        "seconds": evidence.seconds,
        "unseen": False,
    }


def table_of(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=EVIDENCE)


def told_of(table: pa.Table) -> set[str]:
    """Digests of the content that the expert looked at. What failed is tried again: it may have been the machine."""
    rows = zip(table["digest"].to_pylist(), table["outcome"].to_pylist(), strict=True)
    return {digest for digest, outcome in rows if outcome != Outcome.ERROR}


def from_arrays(features: ExpertFeatures, items: Sequence[str], digests: Sequence[str]) -> pa.Table:
    """The table of arrays; what was not rated is written as absent."""
    outcomes = np.where(features.rated, str(Outcome.RATED), str(Outcome.ABSENT))
    columns = {
        "item": list(items),
        "digest": list(digests),
        "outcome": outcomes,
        "severity": pa.array(features.severities.astype(np.int8), mask=~features.rated),
        "probabilities": _lists(features.probabilities, features.rated),
        "features": _lists(features.features, features.rated),
        "seconds": features.seconds.astype(np.float64),
        "unseen": features.unseen,
    }
    return pa.table(columns, schema=EVIDENCE)


def to_arrays(name: str, table: pa.Table, labels: int) -> ExpertFeatures:
    """The arrays of a table of `EVIDENCE`, in its order.

    Raises:
        ValueError: its rows are on another scale, or of several widths.
    """
    rated = np.array([outcome == Outcome.RATED for outcome in table["outcome"].to_pylist()], bool)
    severities = _numbers(table["severity"], 0, np.int64)
    certain = (np.arange(labels) == severities[:, None]) & rated[:, None]
    probabilities = _matrix(table["probabilities"], labels)
    if probabilities.shape[1] not in (0, labels) or severities.max(initial=0) >= labels:
        raise ValueError(f"the evidence of {name} is not on a scale of {labels} labels; build the store anew")
    told = probabilities.any(axis=1) if probabilities.shape[1] else np.zeros(len(rated), bool)
    known = np.zeros((len(rated), labels), np.float32)
    known[told] = probabilities[told]
    known[~told] = certain[~told]
    return ExpertFeatures(
        name,
        rated,
        severities,
        known,
        _matrix(table["features"], 0),
        _numbers(table["unseen"], False, np.bool_),
        _numbers(table["seconds"], 0.0, np.float32),
    )


def _lists(rows: npt.NDArray[Any], kept: npt.NDArray[np.bool_]) -> pa.Array:
    """(N, width) as lists, empty where not kept."""
    lengths = np.where(kept, rows.shape[1], 0)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows[kept].astype(np.float32).ravel()))


def _matrix(column: pa.ChunkedArray, least: int) -> npt.NDArray[np.float32]:
    """A column of lists as (N, width), zeros for those that are empty or null."""
    lists = column.combine_chunks()
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    width = int(lengths.max(initial=least))
    if not np.isin(lengths, (0, width)).all():
        raise ValueError(f"vectors of several widths in one expert's evidence: {sorted(set(lengths.tolist()))}")
    matrix = np.zeros((len(lengths), width), np.float32)
    matrix[lengths > 0] = lists.flatten().to_numpy().reshape(-1, max(width, 1))
    return matrix


def _numbers(column: pa.ChunkedArray, missing: float, dtype: type[Any]) -> npt.NDArray[Any]:
    """A column as an array, `missing` for null."""
    array: npt.NDArray[Any] = column.fill_null(missing).to_numpy().astype(dtype)
    return array
