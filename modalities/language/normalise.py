"""Text as a reader sees it: disguises of characters are undone before a tokenizer cuts the text.

A disguise changes code points and hardly the look: letters of another script or style, characters
that show nothing, marks piled upon letters. Undoing these is certain. What a person must guess,
figures and signs for letters and letters set apart, is in `respelling.py`.

Clean text stays as it is, to the byte, because the trunk learnt it so: Unicode's NFKC is applied to
letters and figures, and not to `…`, `™` or `½`. Text of another script stays too: nobody here reads it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache, partial

from capitoline.modalities.language.respelling import is_word, respelt

INVISIBLE = "invisible characters"
MARKS = "marks piled on letters"
LOOK_ALIKES = "letters of another script"

ORDINARY = "\x00-\u00ac\u00ae-\u017f\u2010-\u2029\u2030-\u205e\u20a0-\u20cf\u2122\u2190-\u245f\u2500-\u27bf"
"""ASCII, European letters, punctuation, currencies and symbols: a text of these alone has no such disguise."""

_PILED = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STYLED = "\u2460-\u24ff\U0001f110-\U0001f189"  # letters in circles and squares, which `\w` leaves out
_LATIN = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"

_LATIN_LETTER, _LETTER = re.compile(f"[{_LATIN}]"), re.compile(r"[^\W\d_]")

_UNUSUAL = re.compile(f"[^{ORDINARY}]")
_NOTHING = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    # Between emoji and in scripts that join letters these two, and the selectors of style, have a meaning.
    f"\U000e0000-\U000e007f]|(?<=[{_LATIN}])[\u200c\u200d\ufe00-\ufe0f]+|[\u200c\u200d]+(?=[{_LATIN}])"
)
_HIDDEN = re.compile(f"(?<=[{_LATIN}])[^\\w\\s\u0020-\u00ff\u2010-\u205e{_PILED}{_STYLED}]+(?=[{_LATIN}])")
_IN_WORD = f"[\\w{_PILED}{_STYLED}]"
_WORD = re.compile(f"(?<!{_IN_WORD}){_IN_WORD}*(?:[^\\x00-\\x7f\\W]|[{_PILED}{_STYLED}]){_IN_WORD}*")
"""A word with any letter or mark that is not ASCII's."""
_MARK = re.compile(f"[{_PILED}]")
_MANY_MARKS = re.compile(f"[{_PILED}]{{4,}}")

LOOSELY = str.maketrans("кКнпмтМвияυηεκτωгΙ", "kKhnmtMburunektwrI")
"""Look-alikes that Unicode's table is too strict for; believed only inside a word with Latin letters."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """How a text is to be read."""

    text: str
    """With the disguises of characters undone."""
    guess: str = ""
    """Respelt as well, where that differs: to be read beside `text`, for a guess must not make it milder."""
    disguises: tuple[str, ...] = ()
    """What was undone, for the reviewer; styled letters are fashion, and no disguise."""

    @property
    def readings(self) -> tuple[str, ...]:
        return (self.text, self.guess) if self.guess else (self.text,)


@lru_cache(maxsize=64)  # an expert asks several times about each text of its micro-batch
def normalise(text: str) -> Normalised:
    """`text` as a reader sees it. Linear in its length; never more than 18 times as long (NFKC of U+FDFA)."""
    plain, disguises = (text, ()) if not _UNUSUAL.search(text) else _plain(text)
    guess, respellings = respelt(plain)
    return Normalised(plain, guess, disguises + respellings)


def in_latin_letters(text: str) -> bool:
    """Whether at least half of the letters are Latin, and there are any."""
    latin = len(_LATIN_LETTER.findall(text))
    return latin > 0 and 2 * latin >= len(_LETTER.findall(text))


def _plain(text: str) -> tuple[str, tuple[str, ...]]:
    found = []
    if any(_NOTHING.fullmatch(one) for run in _HIDDEN.findall(text) for one in run if one != "\u00ad"):
        found.append(INVISIBLE)
    seen = _NOTHING.sub("", text)
    composed = _WORD.sub(_composed, seen)
    composed = _NOTHING.sub("", composed)  # NFKC makes some of them
    bare = _WORD.sub(_without_piles, composed)
    if bare != composed:
        found.append(MARKS)
    folded = _folded(bare)
    if folded != bare:
        found.append(LOOK_ALIKES)
    return folded, tuple(found)


def _composed(word: re.Match[str]) -> str:
    if not _UNUSUAL.search(word[0]):
        return word[0]
    return unicodedata.normalize("NFKC", word[0].translate(styled()))


def _without_piles(word: re.Match[str]) -> str:
    """A word in Latin letters without the marks that no letter of any language composes with; others at most 3 deep."""
    if not _MARK.search(word[0]):
        return word[0]
    if not re.search(f"[{_LATIN}]", word[0]):
        return _MANY_MARKS.sub("", word[0])
    return unicodedata.normalize("NFKC", _MARK.sub("", unicodedata.normalize("NFKD", word[0])))


def _folded(text: str) -> str:
    """Look-alikes folded to Latin letters, if the text is mostly Latin then; else as it is, in its own script."""
    if LOOSELY.keys().isdisjoint(present := set(map(ord, text))) and look_alikes().keys().isdisjoint(present):
        return text
    mixed = _WORD.sub(_fold_mixed, text)
    letters = [one for one in mixed if one.isalpha()]
    latin = sum(one < "\u0250" for one in letters)
    if 2 * latin <= len(letters):
        return text
    return _WORD.sub(partial(_fold_whole, believe_any=mixed != text), mixed)


def _fold_mixed(word: re.Match[str]) -> str:
    """A word of Latin and other letters, if all others look like Latin ones."""
    if not re.search("[A-Za-z]", word[0]):
        return word[0]
    folded = word[0].translate(look_alikes()).translate(LOOSELY)
    return folded if all(one < "\u0250" for one in folded if one.isalpha()) else word[0]


def _fold_whole(word: re.Match[str], believe_any: bool) -> str:
    """A word without any Latin letter, if it looks like a known word; any, if others were disguised."""
    if re.search(f"[{_LATIN}]", word[0]):
        return word[0]
    folded = word[0].translate(look_alikes())
    return folded if folded.isascii() and (believe_any or is_word(folded.lower())) else word[0]


@cache
def look_alikes() -> dict[int, str]:
    """Letters beyond European ones that look like an ASCII letter, by Unicode's confusables (UTS 39)."""
    from confusable_homoglyphs.confusables import confusables_data

    table: dict[int, str] = {}
    for letter, others in confusables_data.items():
        if len(letter) == 1 and letter > "\u024f" and letter.isalpha():
            twins = [other["c"] for other in others if other["c"].isascii() and other["c"].isalpha()]
            if twins and len(twins[0]) == 1:
                table[ord(letter)] = twins[0]
    return table


@cache
def styled() -> dict[int, str]:
    """Small capitals and letters on black, which NFKC does not know, by their names."""
    pattern = re.compile(r"(LETTER SMALL CAPITAL|NEGATIVE (CIRCLED|SQUARED) LATIN CAPITAL LETTER) [A-Z]$")
    blocks = (range(0x250, 0x2B0), range(0x1D00, 0x1D80), range(0xA730, 0xA7B0), range(0x1F150, 0x1F18A))
    names = {code: unicodedata.name(chr(code), "") for block in blocks for code in block}
    return {code: name[-1].lower() for code, name in names.items() if pattern.search(name)}
