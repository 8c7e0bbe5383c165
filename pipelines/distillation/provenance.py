"""A row of the data set: what it is, its label and reason, and where they come from.

The columns of the manifest are carried through; text and tags stand under these names, and
media under `media`, whatever they were called there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capitoline.pipelines.distillation.answer import Fate, Labelling, Usage

Row = dict[str, Any]

SPLIT = "train"
"""Of a row whose manifest names no split."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who was asked, and what."""

    teacher: str
    """`expert:NAME`, or the URL of the endpoint."""
    model: str
    """The model's name, or the digest of the expert's weights."""
    prompt: str
    """The digest of the question; empty for an expert."""


def row_of(labelling: Labelling, source: Source) -> Row:
    """The row as it is written, one JSON object."""
    item = labelling.item
    given: Row = {"id": item.id}
    given |= {"text": labelling.text} if labelling.text else {}
    given |= {"tags": "; ".join(labelling.tags)} if labelling.tags else {}
    given |= {"media": [file.name for file in item.files]} if item.files else {}
    carried = {"split": SPLIT, **item.metadata}
    return {**carried, **given, **_result(labelling), "provenance": _provenance(labelling, source)}


def fate_of(row: Row) -> Fate:
    return Fate(row["provenance"]["fate"])


def usage_of(row: Row) -> Usage:
    found = row["provenance"]
    return Usage(found["requests"], found["prompt_tokens"], found["answer_tokens"])


def with_usage(row: Row, earlier: Usage) -> Row:
    """The row with what an earlier run spent on it added."""
    usage = usage_of(row) + earlier
    return {**row, "provenance": {**row["provenance"], **_spent(usage)}}


def _result(labelling: Labelling) -> Row:
    if labelling.answer is None:
        return {labelling.fate.value: labelling.why}
    answer = labelling.answer
    shares = {"probabilities": [round(one, 6) for one in answer.probabilities]} if answer.probabilities else {}
    return {"label": answer.label, "reason": answer.reason, **shares}


def _provenance(labelling: Labelling, source: Source) -> Row:
    return {
        "fate": labelling.fate.value,
        "teacher": source.teacher,
        "model": source.model,
        "prompt": source.prompt,
        "digest": labelling.digest,
        "asked_at": labelling.asked_at,
        "first": labelling.first,
        "trusted": labelling.trusted,
        "judgement": labelling.judgement,
        "cut": labelling.cut,
        **_spent(labelling.usage),
    }


def _spent(usage: Usage) -> Row:
    return {
        "requests": usage.requests,
        "prompt_tokens": usage.prompt_tokens,
        "answer_tokens": usage.answer_tokens,
    }
