"""The labels that some rows have already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capitoline.modalities.schema import Item


@dataclass(frozen=True, slots=True)
class Trust:
    """A metadata column, and how its labels are called on the scale."""

    column: str
    mapping: Mapping[str, str]
    labels: Sequence[str]

    def __call__(self, item: Item) -> str:
        """The trusted label; empty where there is none.

        Raises:
            ValueError: it is not on the scale.
        """
        found = item.metadata.get(self.column, "").strip()
        label = self.mapping.get(found, found)
        if label and label not in self.labels:
            raise ValueError(
                f"{item.id}: the trusted label {found!r} is not on the scale; give it a line under `trusted.mapping:`"
            )
        return label
