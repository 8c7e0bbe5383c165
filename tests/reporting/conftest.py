"""A small job as the store commits it, one that holds what reports must survive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from capitoline.modalities.schema import UNRATED, Evidence, File, Item, Modality, Outcome, Span, Tag, Verdict
from capitoline.pipelines.records import Record
from capitoline.pipelines.store import Store

LABELS = ("PG", "PG13", "R", "X", "XXX")
MODALITY = {"text": Modality.TEXT, "tags": Modality.TAGS, "image": Modality.IMAGE, "audio": Modality.AUDIO}


class Job:
    """Builds evidence and records, and commits shards of them into an output folder."""

    labels = LABELS

    def __init__(self, out: Path) -> None:
        self.out = out
        self._shards = 0

    def rated(self, expert: str, severity: int, spans: tuple[Span, ...] = (), tags: tuple[Tag, ...] = ()) -> Evidence:
        """A ballot with 0.6 on its label and 0.1 on each other."""
        likely = tuple(0.6 if index == severity else 0.1 for index in range(len(LABELS)))
        return Evidence(
            expert, MODALITY[expert], Outcome.RATED, "", likely, severity, spans=spans, tags=tags, seconds=0.02
        )

    def silent(self, expert: str, outcome: Outcome, reason: str) -> Evidence:
        return Evidence(expert, MODALITY.get(expert), outcome, reason, seconds=0.001)

    def record(self, item_id: str, *evidence: Evidence, text: str = "", review: Sequence[str] = ()) -> Record:
        """The item's record; its rating is the most severe ballot."""
        severity = max((one.severity for one in evidence if one.severity is not None), default=None)
        rating = UNRATED if severity is None else LABELS[severity]
        return Record(
            item=Item(item_id, text, None, (File("/media/archive.tar", item_id, 2_048),), {"licence": "own"}),
            verdict=Verdict(item_id, "d1" * 16, rating, severity, "voter:most_severe", evidence, review=tuple(review)),
            modalities=tuple(one.modality for one in evidence if one.modality and one.outcome is not Outcome.ABSENT),
            text=text,
            tags=None,
            notes=("2 of 9 lines were not UTF-8",),
            seconds={"decode": 0.01} | {one.expert: one.seconds for one in evidence},
        )

    def commit(self, *records: Record) -> Path:
        """Commits one more shard and returns the folder."""
        store = Store(self.out)
        store.prepare()
        store.commit(self._shards, records)
        self._shards += 1
        return self.out


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)
