"""What a scan may cost; the numbers come from `settings.Limits`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """Limits of one archive or packed manifest. Beyond one the scan of it stops and says so."""

    archive_members: int = 20_000_000
    archive_bytes: int = 4 << 40
    """Bytes once unpacked."""
    archive_ratio: float = 200.0
    """Unpacked ÷ packed, above `RATIO_FROM` unpacked bytes."""


RATIO_FROM = 16 << 20
"""A short run of zeros packs a thousandfold and harms nobody: ratios count from 16 MB."""


class BrokenArchiveError(ValueError):
    """An archive or a packed file that cannot be read on; the message says why."""


def check_unpacked(unpacked: int, packed: int, limits: ScanLimits) -> None:
    """Raises BrokenArchiveError when `unpacked` bytes out of `packed` ones are too many."""
    if unpacked > limits.archive_bytes:
        raise BrokenArchiveError(f"unpacks to more than archive_bytes = {limits.archive_bytes}")
    if unpacked > RATIO_FROM and unpacked > limits.archive_ratio * max(packed, 1):
        raise BrokenArchiveError(f"unpacks to more than archive_ratio = {limits.archive_ratio:g} times its size")
