"""What is counted over the rows of a data set, in one pass: fates, labels, judgements, agreement, cost.

Legend:  K = labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from capitoline.pipelines.distillation.answer import Fate, Usage
from capitoline.pipelines.distillation.provenance import Row, fate_of, usage_of
from capitoline.pipelines.evaluation.metrics import quadratic_weighted_kappa


@dataclass(slots=True)
class Agreement:
    """Labels of the teacher beside trusted ones."""

    matrix: npt.NDArray[np.int64]
    """(K, K) counts by trusted (rows) and given (columns) severity: below the diagonal is too mild."""

    @property
    def count(self) -> int:
        return int(self.matrix.sum())

    @property
    def accuracy(self) -> float:
        return float(self.matrix.trace() / self.count)

    @property
    def kappa(self) -> float:
        """Quadratic weighted kappa; NaN where all is one label."""
        return quadratic_weighted_kappa(self.matrix)

    @property
    def down_rate(self) -> float:
        """Share that the teacher labels milder than it is."""
        return float(np.tril(self.matrix, -1).sum() / self.count)


@dataclass(slots=True)
class Tally:
    """Of all committed rows."""

    labels: Sequence[str]
    fates: Counter[Fate] = field(default_factory=Counter)
    given: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Labelled rows by (split, label)."""
    judgements: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """By reason."""
    usage: Usage = field(default_factory=Usage)
    first: Agreement = field(init=False)
    """Of first answers, whatever the policy made of them."""
    final: Agreement = field(init=False)
    """Of the labels in the data set."""

    def __post_init__(self) -> None:
        shape = (len(self.labels), len(self.labels))
        self.first, self.final = Agreement(np.zeros(shape, np.int64)), Agreement(np.zeros(shape, np.int64))

    def add(self, row: Row) -> None:
        found, fate = row["provenance"], fate_of(row)
        self.fates[fate] += 1
        self.usage += usage_of(row)
        if found["judgement"]:
            self.judgements[found["judgement"]] += 1
        if fate is Fate.LABELLED:
            self.given[row["split"], row["label"]] += 1
        if fate is Fate.ERROR:
            self.errors[row["error"]] += 1
        if found["trusted"]:
            self._compare(self.first, found["trusted"], found["first"])
            self._compare(self.final, found["trusted"], row["label"] if fate is Fate.LABELLED else "")

    def _compare(self, agreement: Agreement, trusted: str, given: str) -> None:
        if given:
            agreement.matrix[self.labels.index(trusted), self.labels.index(given)] += 1


def tally(rows: Iterable[Row], labels: Sequence[str]) -> Tally:
    counted = Tally(labels)
    for row in rows:
        counted.add(row)
    return counted
