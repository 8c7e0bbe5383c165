"""What is kept of an item: made by the graph's last node, or for an item that no process survived."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from capitoline.modalities.schema import FAILURES, Decider, Decoded, Evidence, Item, Modality, Outcome, Verdict

GRAPH = "graph"
"""The name under which the graph itself gives evidence: of a process that an item killed."""

DECODE = "decode"
"""The name under which the decoder gives evidence: of files of unknown kind, and of what no expert reports."""

logger = logging.getLogger("capitoline")


@dataclass(frozen=True, slots=True)
class Record:
    """All that is kept of one item: what a lane or the driver hands to the store."""

    item: Item
    verdict: Verdict
    modalities: tuple[Modality, ...]
    text: str | None
    tags: tuple[str, ...] | None
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    """CPU seconds by node of the graph."""
    undecoded: tuple[Modality, ...] = ()
    """Those of the modalities that could not be decoded."""
    shadow: Verdict | None = None
    """Of a second decider, which changes nothing."""


class Decide:
    """The last node: the decoder's and the experts' evidence about each item → its record."""

    def __init__(self, decider: Decider, shadow: Decider | None = None) -> None:
        """`shadow` decides beside `decider`, and whatever it does changes no verdict."""
        self._decider, self._shadow = decider, shadow

    def __call__(self, decoded: Sequence[Decoded], *experts: Sequence[Evidence]) -> list[Record]:
        columns = zip(*experts, strict=True) if experts else ((),) * len(decoded)
        return [self._record(one, evidence) for one, evidence in zip(decoded, columns, strict=True)]

    def _record(self, decoded: Decoded, evidence: Sequence[Evidence]) -> Record:
        told = [*_undecoded(decoded, evidence), *evidence]
        return Record(
            item=decoded.item,
            verdict=self._decider(decoded, told),
            shadow=self._beside(decoded, told),
            modalities=decoded.parts,
            undecoded=tuple(decoded.failures),
            text=decoded.text,
            tags=decoded.tags,
            notes=decoded.notes,
            seconds={},
        )

    def _beside(self, decoded: Decoded, evidence: Sequence[Evidence]) -> Verdict | None:
        if self._shadow is None:
            return None
        try:
            return self._shadow(decoded, evidence)
        except Exception:
            logger.exception("%s: the shadow %s could not decide", decoded.item.id, self._shadow.name)
            return None


def _undecoded(decoded: Decoded, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Failures that no expert reports, since none looks there or the one that does rated by another part."""
    reported = {one.reason for one in evidence if one.outcome in FAILURES}
    lost = [(part, failure) for part, failure in decoded.failures.items() if failure.reason not in reported]
    failures = [*((None, failure) for failure in decoded.unreadable), *lost]
    return [Evidence(DECODE, part, failure.outcome, failure.reason) for part, failure in failures]


def culprit(decider: Decider, item: Item, reason: str, shadow: Decider | None = None) -> Record:
    """The record of an item that killed or hung every process it ran in: unrated, with the reason."""
    broken = Evidence(GRAPH, None, Outcome.ERROR, reason=reason)
    decoded = Decoded(item=item, digest="", text=item.text, tags=item.tags)
    return replace(Decide(decider, shadow)([decoded])[0], verdict=decider(decoded, [broken]))


def timed(records: Sequence[Record], seconds: Mapping[str, float]) -> list[Record]:
    """The records with a batch's CPU seconds shared out: a stage equally among the items it looked at."""
    lookers = {stage: sum(_looked(record, stage) for record in records) for stage in seconds}
    return [
        _with_seconds(record, {stage: seconds[stage] / lookers[stage] for stage in seconds if _looked(record, stage)})
        for record in records
    ]


def _looked(record: Record, stage: str) -> bool:
    outcomes = [one.outcome for one in record.verdict.evidence if one.expert == stage]
    return outcomes != [Outcome.ABSENT]


def _with_seconds(record: Record, seconds: Mapping[str, float]) -> Record:
    evidence = tuple(
        replace(one, seconds=seconds[one.expert]) if one.expert in seconds else one for one in record.verdict.evidence
    )
    return replace(record, verdict=replace(record.verdict, evidence=evidence), seconds=seconds)
