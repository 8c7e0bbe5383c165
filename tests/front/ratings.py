"""A rater of texts whose answers a test can foresee."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capitoline.modalities.networks.rater import Ratings


class CountingRater:
    """Severity 1 of 2 exactly for texts with the word `country` or `weapon`; keeps what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Ratings:
        self.texts.extend(texts)
        severities = np.array([int("country" in text or "weapon" in text) for text in texts])
        return Ratings(np.eye(2, dtype=np.float32)[severities], np.ones((len(texts), 3), np.float32), severities)
