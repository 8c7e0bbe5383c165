"""Each tag a value, each rating a threshold: the rule that large image sites run in production.

Two tables: for the tags that an item came with, and for those of taggers that look at its
pictures. Their scores mean different things, so they are never added; the more severe speaks.

Legend for shapes:  F = frames of an item, N = tags of all taggers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from capitoline.modalities.schema import Decoded, Evidence, Frame, Modality, Outcome, Span, Tag
from capitoline.modalities.shielded import shielded
from capitoline.modalities.tagging.aggregation import AGGREGATIONS, Scores, any_frame
from capitoline.modalities.tagging.tag_tables import Table, Tables, normalised
from capitoline.modalities.tagging.tagger import Tagger

Aggregation = Callable[[Scores], Scores]
"""(F, N) → (N,), one of `aggregation.py`."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one table says about an item."""

    severity: int | None = None
    """None if it cannot tell."""
    reason: str = ""
    """Why it cannot; empty if there was nothing to look at."""
    tags: tuple[Tag, ...] = ()
    """Those that the table knows."""
    spans: tuple[Span, ...] = ()
    """Of a film, the frame in which each of its tags was surest."""


class TagThresholds:
    """Rates an item by its own tags and by those of the taggers, on the labels of the tables.

    A table may alarm on part of what it sees, but it never reassures on part. An alarm is a
    rating above that of no tags at all; any other needs every given tag to be known, and
    taggers, who see only what they were trained to see, cannot give it.
    """

    modality: Modality | None = Modality.TAGS

    def __init__(
        self,
        tables: Tables,
        taggers: Sequence[Tagger] = (),
        name: str = "thresholds",
        aggregation: str = "any",
    ) -> None:
        """`aggregation` names the rule of `aggregation.py` that makes one score of a film's frames."""
        self.name = name
        self.labels = tables.labels
        self._tables = tables
        self._film_table = tables.of_films(aggregation)
        self._aggregate = AGGREGATIONS[aggregation]
        self._taggers = tuple(taggers)
        self._names = [name for tagger in self._taggers for name in tagger.names]
        content = [tables.model_dump_json(), aggregation, *(tagger.digest for tagger in taggers)]
        self.digest = hashlib.sha256("\n".join(content).encode()).hexdigest()
        """SHA-256 of the tables, the rule for films and the taggers' weights."""

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        """One evidence an item, in order, without probabilities: a table has none."""
        looked_at = (Modality.TAGS, Modality.IMAGE, Modality.VIDEO) if self._taggers else (Modality.TAGS,)
        return shielded(self, self._rate, items, self._sees, looked_at, in_part=True)

    def _sees(self, item: Decoded) -> bool:
        return bool(item.tags or (self._taggers and (item.pictures or item.film)))

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        given = [self._of_given(item.tags or ()) for item in items]
        scores = iter(self._scores([frames for item in items for frames in (item.pictures, item.film)]))
        found = [
            (self._of_pictures(item.pictures, next(scores)), self._of_film(item.film, next(scores))) for item in items
        ]
        return [self._evidence(one, *seen) for one, seen in zip(given, found, strict=True)]

    def _evidence(self, *opinions: Opinion) -> Evidence:
        tags = tuple(tag for one in opinions for tag in one.tags)
        spans = tuple(span for one in opinions for span in one.spans)
        severities = [one.severity for one in opinions if one.severity is not None]
        if severities:
            return Evidence(self.name, self.modality, Outcome.RATED, severity=max(severities), spans=spans, tags=tags)
        reason = "; ".join(one.reason for one in opinions if one.reason)
        return Evidence(self.name, self.modality, Outcome.ABSTAINED, reason, spans=spans, tags=tags)

    def _of_given(self, names: Sequence[str]) -> Opinion:
        table = self._tables.given
        tags = [Tag(name, 1.0) for name in dict.fromkeys(map(normalised, names))]
        known = tuple(filter(table.knows, tags))
        severity = table.severity(known)
        if not tags:
            return Opinion()
        if not known:
            return Opinion(None, "no tag of the table")
        if len(known) < len(tags) and severity <= table.severity(()):
            return Opinion(None, "no alarm, but not all of its tags are in the table", known)
        return Opinion(severity, tags=known)

    def _scores(self, groups: Sequence[Sequence[Frame]]) -> list[Scores]:
        """(F, N) of each group of frames, which go to each tagger all together."""
        pictures = [frame.pixels for frames in groups for frame in frames]
        empty = np.empty((len(pictures), 0), np.float32)
        scores = np.concatenate([empty, *(tagger(pictures) for tagger in self._taggers)], axis=1)
        return np.split(scores, np.cumsum([len(frames) for frames in groups])[:-1])

    def _of_pictures(self, frames: Sequence[Frame], scores: Scores) -> Opinion:
        return self._of_frames(frames, scores, self._tables.tagger, any_frame)

    def _of_film(self, frames: Sequence[Frame], scores: Scores) -> Opinion:
        return self._of_frames(frames, scores, self._film_table, self._aggregate)

    def _of_frames(self, frames: Sequence[Frame], scores: Scores, table: Table, aggregate: Aggregation) -> Opinion:
        """Of (F, N) scores; each known tag is shown in the frame where it is surest."""
        if not (frames and self._taggers):
            return Opinion()
        tags = [Tag(name, float(score)) for name, score in zip(self._names, aggregate(scores), strict=True)]
        known = tuple(filter(table.knows, tags))
        shown = [frames[row].seconds for row in scores.argmax(axis=0)]
        spans = [Span(at, at, tag.name) for at, tag in zip(shown, tags, strict=True) if table.knows(tag)]
        severity = table.severity(known)
        if severity <= table.severity(()):
            return Opinion(None, "the taggers found nothing, which does not make it mild", known)
        return Opinion(severity, tags=known, spans=tuple(spans) if len(frames) > 1 else ())
