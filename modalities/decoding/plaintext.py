"""Bytes to text: which encoding they are in, or that they are no text at all."""

from __future__ import annotations

import codecs
import unicodedata

from capitoline.modalities.decoding.limits import UndecodableError

SAMPLE_BYTES = 65_536
"""Enough to tell text from binary; the decoder sees the rest."""

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is this one's beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

LEGACY = "cp1252"
LEGACY_ASCII_SHARE = 0.8
"""Least share of ASCII for Windows-1252: Cyrillic, Greek or Japanese in their own legacy encodings would
pass as Western gibberish, which no expert could find anything in. Those are refused instead."""

ODD_SHARE = 0.02
"""Most characters that may be controls, unassigned or private: random bytes decoded as UTF-16 have many."""


def unicode_encoding(data: bytes) -> str | None:
    """The Unicode encoding `data` is text in, else None. Sure: binary files do not pass for UTF-8."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding if _reads(data, encoding) else None
    for encoding in ("utf-8", *_unmarked_utf16(data)):
        if _reads(data, encoding):
            return encoding
    return None


def legacy_encoding(data: bytes) -> str | None:
    """`cp1252` if `data` reads as Western text in it, else None. A guess, to be noted."""
    sample = data[:SAMPLE_BYTES]
    ascii_share = sum(byte < 128 for byte in sample) / max(1, len(sample))
    return LEGACY if ascii_share >= LEGACY_ASCII_SHARE and _reads(data, LEGACY) else None


def decode_text(data: bytes, encoding: str, limit: int) -> tuple[str, tuple[str, ...]]:
    """Text of at most `limit` characters, and notes on what was guessed or cut.

    Raises:
        UndecodableError: some bytes within the limit are not in `encoding`.
    """
    head = data[: 4 * (limit + 1)]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=len(head) == len(data))
    except UnicodeDecodeError as error:
        raise UndecodableError(f"text in {encoding} breaks off at byte {error.start:,}") from error
    text, notes = cut_text(text.removeprefix("\ufeff"), limit)
    guess = (f"encoding guessed: {encoding}",) if encoding == LEGACY else ()
    return text, (*guess, *notes)


def cut_text(text: str, limit: int) -> tuple[str, tuple[str, ...]]:
    """The first `limit` characters, and a note if there were more."""
    if len(text) <= limit:
        return text, ()
    return text[:limit], (f"text cut after {limit:,} characters",)


def _unmarked_utf16(data: bytes) -> tuple[str, ...]:
    """UTF-16 without a mark shows as zeros in every second byte of Western text."""
    even, odd = data[:SAMPLE_BYTES:2], data[1:SAMPLE_BYTES:2]
    if len(data) % 2 or len(data) < 8:
        return ()
    if odd.count(0) > 0.5 * len(odd) and not even.count(0):
        return ("utf-16-le",)
    if even.count(0) > 0.5 * len(even) and not odd.count(0):
        return ("utf-16-be",)
    return ()


def _reads(data: bytes, encoding: str) -> bool:
    """Whether the beginning of `data` decodes, and into characters that people write."""
    sample = data[:SAMPLE_BYTES]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample, final=len(sample) == len(data))
    except UnicodeDecodeError:
        return False
    odd = sum(not character.isprintable() and _is_odd(character) for character in text)
    return "\0" not in text and odd <= ODD_SHARE * len(text)


def _is_odd(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) in {"Cc", "Cn", "Co", "Cs"}
