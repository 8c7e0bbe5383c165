"""Blends: texts made of halves of two, which nobody labelled, for teachers to answer and the pupil to learn from.

A pupil soon knows its teachers' answers about the labelled texts by heart; about texts that it did not see
before, however odd, it has to understand them (after the augmentation of TinyBERT, arXiv:1909.10351, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from capitoline.configs.training import BlendSettings, Training
from capitoline.modalities.networks.losses import UNKNOWN
from capitoline.pipelines.training.corpus import Rows, by_head
from capitoline.pipelines.training.dataset import Division, Example
from capitoline.pipelines.training.texts import own_text


def with_blends(rows: Rows, settings: Training) -> Rows:
    """`rows` with the blends that `settings.lessons` asks for, of training rows alone."""
    if settings.lessons is None or settings.model != "rwkv":
        return rows
    made = [one for blend in settings.lessons.blends for one in _blends(rows.train, blend, settings.seed)]
    return replace(rows, blends=made)


def _blends(train: Sequence[Example], settings: BlendSettings, seed: int) -> Iterator[Example]:
    chosen = [one for one in train if one.source.file == settings.file and one.source.head in settings.heads]
    for head, examples in by_head(chosen).items():
        draw = np.random.default_rng((seed, *head.encode(), *settings.file.encode()))
        for place in range(settings.count * len(examples)):
            other = examples[draw.integers(len(examples))]
            yield blend(examples[place % len(examples)], other, draw.random() < 0.5, -1 - place)


def blend(one: Example, other: Example, tags_of_other: bool, index: int) -> Example:
    """The first half of the words of `one`, then the second of `other`, with the tags of either, and no label.

    Args:
        index: in place of that in the file, lest it be taken for `one`.
    """
    first, second = own_text(one).split(), own_text(other).split()
    text = " ".join(first[: -(-len(first) // 2)] + second[len(second) // 2 :])
    source, tagged = one.source, other if tags_of_other else one
    columns = dict.fromkeys(source.columns) | {source.columns[0]: text}
    tags = {name: tagged.row.get(name) for name in source.tags}
    row = {**one.row, **columns, **tags, "id": f"{one.id}+{other.id}"}
    unknown = (UNKNOWN,) * len(one.severities)
    return replace(one, id=row["id"], row=row, index=index, severities=unknown, division=Division.BLEND)
