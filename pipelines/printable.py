"""Foreign text made safe to show: an id or a transcript must not steer a terminal or reorder a line."""

from __future__ import annotations

import re

# C0, DEL and C1 steer terminals (ESC, CSI); the bidirectional controls reorder what stands
# beside them ("Trojan Source", CVE-2021-42574); the line separators break a table's row.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def printable(text: str) -> str:
    """`text` with control and reordering characters spelt out (`\\x1b`); tabs and line ends stay."""
    return _STEERING.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def one_line(text: str, length: int) -> str:
    """`text` printable, on one line, cut to at most `length` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if len(line) <= length else line[: length - 1] + "…"
