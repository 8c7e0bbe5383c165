"""What files of film and sound say of their own length. FFmpeg takes half of one for a shorter whole."""

from __future__ import annotations

LENGTH_UNKNOWN = 0x7FFF_0000
"""From here up a RIFF's length is what programs write that write to a pipe and cannot know it."""
LAST_PAGE = 0x04
"""The flag of an Ogg page that ends its stream (RFC 3533, 6)."""
MAXIMUM_BOXES = 100_000
"""Of a film in fragments; beyond that nothing is concluded."""
PADDING = 4_096
"""Zeros looked through behind an ID3 tag."""
OGG_HEADER = 27
"""Bytes of an Ogg page before the table of its segments."""


def missing_bytes(data: bytes) -> int:
    """Bytes by which the file ends before it says; 0 where it does not say."""
    if data.startswith(b"RIFF"):
        return max(0, _riff(data) - len(data))
    if data[4:8] == b"ftyp":
        return max(0, _boxes(data) - len(data))
    return max(0, _mp3(data) - len(data))


def lacks_its_end(data: bytes) -> bool:
    """Whether this is an Ogg file of which the last page is broken off, or is not the last of its stream."""
    if not data.startswith(b"OggS"):
        return False
    page = data[data.rfind(b"OggS") :]
    if len(page) < OGG_HEADER or not page[5] & LAST_PAGE:
        return True
    table = page[OGG_HEADER : OGG_HEADER + page[26]]
    return len(page) < OGG_HEADER + page[26] + sum(table)


def _riff(data: bytes) -> int:
    """WAV and AVI: bytes in all; 0 if unknown."""
    declared = int.from_bytes(data[4:8], "little")
    return declared + 8 if declared < LENGTH_UNKNOWN else 0


def _boxes(data: bytes) -> int:
    """MP4 and its kin: where the last box of media ends, of boxes one after the other (ISO/IEC 14496-12, 4.2)."""
    at = media = 0
    for _ in range(MAXIMUM_BOXES):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # the end, or 0 for a box that goes on to wherever that is
            return media
        at += size
        media = at if kind == b"mdat" else media
    return 0


def _mp3(data: bytes) -> int:
    """MP3: where the frames end, by the table that most encoders put into the first of them; 0 without one."""
    start = _after_id3(data)
    head = data[start : start + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version_1, mono = head[1] & 0x18 == 0x18, head[3] >> 6 == 3
    side = (17 if mono else 32) if version_1 else (9 if mono else 17)  # bytes between header and sound
    table = data[start + 4 + side :][:16]
    if table[:4] in (b"Xing", b"Info") and table[7:8] and table[7] & 2:
        at = 12 if table[7] & 1 else 8  # the number of frames comes first, if it is there
        return start + int.from_bytes(table[at : at + 4], "big")
    table = data[start + 36 :][:14]
    return start + int.from_bytes(table[10:14], "big") if table[:4] == b"VBRI" else 0


def _after_id3(data: bytes) -> int:
    """Where an ID3v2 tag ends, and the zeros that some programs leave behind it."""
    if not data.startswith(b"ID3") or len(data) < 10:
        return 0
    end = 10
    for place, byte in enumerate(reversed(data[6:10])):
        end += (byte & 0x7F) << (7 * place)
    padding = data[end : end + PADDING]
    return end + len(padding) - len(padding.lstrip(b"\0"))
