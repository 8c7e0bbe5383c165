"""What came of a job, in numbers: `summary.json`, and what the report draws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from capitoline.modalities.atomic import write_atomically
from capitoline.modalities.schema import File
from capitoline.pipelines.moves import Moves


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for which parts of items could not be read or rated."""

    outcome: str
    """`error` or `unsupported`."""
    reason: str
    """Numbers, quotations and paths that differ from item to item are left out."""
    experts: tuple[str, ...]
    items: int
    examples: tuple[str, ...]
    """Ids of the first few items."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two experts' ballots compare on the items that both rated."""

    first: str
    second: str
    both: int
    """Items that both rated, more than none."""
    equal: float
    """Share of them with one and the same severity."""
    difference: float
    """Mean absolute difference of the severities, in levels."""
    counts: tuple[tuple[int, ...], ...]
    """(K, K) items by the first's severity, then the second's."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one expert said about a contested item."""

    expert: str
    outcome: str
    reason: str
    severity: int | None
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Contested:
    """An item that experts disagreed on, that failed in part, or that a person should look at."""

    item_id: str
    rating: str
    spread: int
    """Levels between the mildest and the most severe ballot."""
    rule: str
    tied: tuple[str, ...]
    review: tuple[str, ...]
    text: str
    files: tuple[File, ...]
    ballots: tuple[Ballot, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A finished job. Mappings are in the order in which they should be shown."""

    labels: tuple[str, ...]
    """The scale, mildest first."""
    items: int
    rated: int
    unrated: int
    failed: int
    """Items of which some part could not be read or rated; they may be rated by the other parts."""
    by_rating: Mapping[str, int]
    """Items by rating, `UNRATED` last."""
    by_modality: Mapping[str, Mapping[str, int]]
    """Modality → rating → items; an item counts in each modality that it has."""
    outcomes: Mapping[str, Mapping[str, int]]
    """Expert → outcome → items."""
    review: int
    review_reasons: Mapping[str, int]
    review_examples: Mapping[str, tuple[str, ...]]
    """By reason, ids of the first items."""
    causes: tuple[Cause, ...]
    """The commonest ones, most items first."""
    causes_left_out: int
    """Items that failed for other causes."""
    agreement: tuple[Agreement, ...]
    contested: tuple[Contested, ...]
    cpu_seconds: Mapping[str, float]
    """CPU seconds by node of the graph, most first."""
    wall_seconds: float
    """Of the run that finished the job."""
    items_per_second: float
    """Of the same run, which rated only what earlier ones had not."""
    shadow: Moves | None = None
    """What the second decider would have rated, if there was one."""


def write_summary(out: Path, summary: Summary) -> Path:
    """Write `summary.json` into `out` and return its path; a reader sees the old one or the new one."""
    path, text = out / "summary.json", json.dumps(asdict(summary), indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path
