"""Reasons by what they have in common: ten thousand truncated files are one cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from capitoline.modalities.schema import FAILURES
from capitoline.pipelines.report.part import Part
from capitoline.pipelines.report.summary import Cause

LISTED = 50
"""Causes that a summary lists."""
COUNTED = 2_000
"""Different causes that are told apart at all, so that hostile reasons cannot fill the memory."""
EXAMPLES = 3
LONGEST = 500
"""Characters of a reason that are read."""
OTHERS = "(others)"

# What differs from item to item: quotations, absolute paths and URLs, addresses, numbers (but not the
# 13 of PG13, which is no number).
_PARTICULARS = re.compile(
    r"""'[^']*'|"[^"]*"|(?<!\w)(?:\w+:/)?/[^\s,;:]+|\b0x[0-9a-f]+|(?<!\w)\d+(?:[.,]\d+)*""", re.IGNORECASE
)


def gist(reason: str) -> str:
    """`reason` with its particulars as an ellipsis: "62 bytes short" and "7 bytes short" are one cause."""
    return _PARTICULARS.sub("…", reason[:LONGEST])


class Reasons:
    """How often each gist was given, and for which items; those after the first `COUNTED` are `OTHERS`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, item_id: str, reasons: Iterable[str]) -> None:
        """Counts the reasons of one item, each gist once."""
        for found in {gist(reason) for reason in reasons}:
            kept = found if found in self._counts or len(self._counts) < COUNTED else OTHERS
            self._counts[kept] += 1
            self._examples[kept] = [*self._examples.get(kept, ()), item_id][:EXAMPLES]

    def examples(self) -> dict[str, tuple[str, ...]]:
        """The first items of each of the commonest reasons."""
        return {reason: tuple(self._examples.get(reason, ())) for reason in self.listed()}

    def listed(self) -> dict[str, int]:
        """The commonest reasons, then all the others as one."""
        common = dict([entry for entry in self._counts.most_common() if entry[0] != OTHERS][:LISTED])
        others = self._counts.total() - sum(common.values())
        return common | ({OTHERS: others} if others else {})


class _Failures:
    """Of one cause."""

    def __init__(self, gist: str, reason: str) -> None:
        self._gist, self._reason = gist, reason
        self._alike = True
        self.items = 0
        self.experts: set[str] = set()
        self.examples: list[str] = []

    @property
    def reason(self) -> str:
        """In full if it is the same for all, with its line number; else what the reasons have in common."""
        return self._reason if self._alike else self._gist

    def compare(self, reason: str) -> None:
        self._alike = self._alike and reason == self._reason


class Causes:
    """Failures by outcome and gist. An item that failed for two causes counts in both."""

    def __init__(self) -> None:
        self._causes: dict[tuple[str, str], _Failures] = {}

    def add(self, part: Part) -> None:
        columns = [part.evidence[name].to_pylist() for name in ("item_id", "expert", "outcome", "reason")]
        seen: set[tuple[_Failures, str]] = set()
        for item_id, expert, outcome, reason in zip(*columns, strict=True):
            if outcome in FAILURES:
                failures = self._of(outcome, reason[:LONGEST])
                failures.compare(reason[:LONGEST])
                failures.experts.add(expert)
                # Three experts on one broken picture are one failed item.
                if (failures, item_id) not in seen:
                    seen.add((failures, item_id))
                    failures.items += 1
                    failures.examples = [*failures.examples, item_id][:EXAMPLES]

    def _of(self, outcome: str, reason: str) -> _Failures:
        cause = (outcome, gist(reason))
        if cause not in self._causes and len(self._causes) >= COUNTED:
            cause, reason = (outcome, OTHERS), OTHERS
        return self._causes.setdefault(cause, _Failures(cause[1], reason))

    def listed(self) -> tuple[tuple[Cause, ...], int]:
        """The commonest causes, most items first, and how many items the others have."""
        causes = sorted(self._causes.items(), key=lambda entry: -entry[1].items)
        listed = tuple(
            Cause(outcome, failures.reason, tuple(sorted(failures.experts)), failures.items, tuple(failures.examples))
            for (outcome, _), failures in causes[:LISTED]
        )
        return listed, sum(failures.items for _, failures in causes[LISTED:])
