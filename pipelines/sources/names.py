"""Names from untrusted places made fit for ids: printable, of bounded length, each once."""

from __future__ import annotations

from array import array
from hashlib import blake2b

LONGEST = 512
"""Characters of an id; a longer name is cut and ends in a digest of all of it."""


def printable(name: str) -> str:
    r"""`name` with what cannot be printed, and `..` as a folder, written as `\x` escapes, and cut to `LONGEST`.

    The result is a label for people. Nothing ever opens it as a path.
    """
    if not name.isprintable():
        name = "".join(one if one.isprintable() else _escaped(one) for one in name)
    if ".." in name:
        name = "/".join(r"\x2e\x2e" if part == ".." else part for part in name.split("/"))
    if len(name) <= LONGEST:
        return name
    digest = blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name[: LONGEST - len(digest) - 1]}~{digest}"


def unicode(text: str) -> str:
    """`text` with lone surrogates, which no UTF-8 column can hold, replaced by question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _escaped(character: str) -> str:
    undecoded = 0xDC80 <= ord(character) <= 0xDCFF  # a byte that was not UTF-8, as PEP 383 keeps it
    raw = character.encode(errors="surrogateescape" if undecoded else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in raw)


class UniqueNames:
    """Lets each name through once: a second `a` becomes `a#2`, a third `a#3`.

    Remembers eight bytes of digest a name in an open-addressing table (ten million names:
    134 to 268 MB, a set of integers 1 GB). Two names with one digest, less likely than 3e-6
    in ten million, cost a needless `#2` and nothing else.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0
        self._repeated: dict[int, int] = {}

    def __call__(self, name: str) -> str:
        digest = _digest(name)
        if self._add(digest):
            return name
        number = self._repeated.get(digest, 1) + 1
        while not self._add(_digest(f"{name}#{number}")):
            number += 1
        self._repeated[digest] = number
        return f"{name}#{number}"

    def _add(self, digest: int) -> bool:
        """Whether `digest` is new."""
        slot = self._slot(digest)
        if self._slots[slot]:
            return False
        self._slots[slot] = digest
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def _slot(self, digest: int) -> int:
        slot = digest % len(self._slots)
        while self._slots[slot] not in (0, digest):
            slot = (slot + 1) % len(self._slots)
        return slot

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(2 * 8 * len(old)))
        for digest in old:
            if digest:
                self._slots[self._slot(digest)] = digest


def _digest(name: str) -> int:
    """Eight bytes, never zero, which marks a free slot."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) or 1
