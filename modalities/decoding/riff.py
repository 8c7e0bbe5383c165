"""What a RIFF file (WAV, AVI) says of its own length. FFmpeg takes half of one for a shorter whole."""

from __future__ import annotations

LENGTH_UNKNOWN = 0x7FFF_0000
"""From here up a length is what programs write that write to a pipe and cannot know it."""


def missing_bytes(data: bytes) -> int:
    """Bytes by which the file ends before its header says; 0 for any other format."""
    declared = int.from_bytes(data[4:8], "little")
    known = data.startswith(b"RIFF") and declared < LENGTH_UNKNOWN
    return max(0, declared + 8 - len(data)) if known else 0
