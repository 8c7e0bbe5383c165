"""Figures with units, as people write them."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 item`, `2,000 items`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """`2 h 05 min`, `3 min 20 s`, `4.2 s` or `35 ms`."""
    whole = round(seconds)
    if whole >= 3_600:
        return f"{whole // 3_600:,} h {whole % 3_600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1_000:.0f} ms"


def clock(seconds: float) -> str:
    """A moment of a film: `0:03.2`, `1:05.0` or `2:01:05.0`."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    moment = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{moment}" if hours else f"{minutes}:{moment}"


def gigabytes(count: float) -> str:
    """`23.4 GB`, of 10⁹ bytes."""
    return f"{count / 1e9:,.1f} GB"
