"""In which fold a group of rows falls: the same for every expert, so that what is unseen by one is unseen by all."""

from __future__ import annotations

import hashlib


def fold_of(group: str, folds: int) -> int:
    """The fold, 0 … folds-1, of the rows of a group such as a film's title."""
    # Salted, because the rows held out to choose the epoch are drawn by the bare hash of the group.
    text = "fold " + group.strip().casefold()
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % folds
