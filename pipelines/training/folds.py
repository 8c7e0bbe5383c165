"""Where a group of rows falls, by a hash: the same on every machine and for every expert.

What is unseen by one expert is so unseen by all, and a row that comes or goes moves no other.
"""

from __future__ import annotations

import hashlib


def fold_of(group: str, folds: int) -> int:
    """The fold, 0 … folds-1, of the rows of a group such as a film's title."""
    return _number(group, "fold") % folds


def place_of(group: str, purpose: str = "") -> float:
    """Where in 0 … 1 a group lies: below a share, it is on that side of a division."""
    return _number(group, purpose) / 2**64


def _number(group: str, purpose: str) -> int:
    """Below 2⁶⁴. The purpose salts the hash, so that one division says nothing of another."""
    spelled = group.strip().casefold()
    salted = f"{purpose} {spelled}" if purpose else spelled
    return int.from_bytes(hashlib.blake2b(salted.encode(), digest_size=8).digest())
