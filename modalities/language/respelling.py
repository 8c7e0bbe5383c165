"""Words that a person reads through figures, signs and gaps: `p0rn`, `$ex`, `f.u.c.k`, `n a k e d`.

A guess is made only where it ends in a word. What a word is, the World vocabulary says: it has the
common words of English whole, in lower case, and acronyms (`U.S.A.`) in pieces.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache, partial
from itertools import islice, product
from string import ascii_letters

from capitoline.modalities.rwkv.tokenizer import WorldTokenizer, read_vocabulary

FIGURES = "figures for letters"
GAPS = "letters set apart"

SIGNS = {
    "0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "il", "|": "il", "+": "t", "€": "e",
}  # fmt: skip
"""What a figure or sign stands for."""

# fmt: off
EXPLICIT = frozenset({
    "anal", "anus", "ass", "bdsm", "beheaded", "bitch", "blowjob", "blowjobs", "boob", "boobs", "bukkake",
    "clitoris", "cock", "cocks", "cum", "cunnilingus", "cunt", "cunts", "decapitated", "deepthroat", "dick",
    "dicks", "dildo", "disembowel", "disemboweled", "dismembered", "ejaculate", "ejaculation", "erection", "fuck",
    "fucked", "fucking", "genitalia", "genitals", "gore", "hentai", "horny", "kill", "milf", "motherfucker",
    "naked", "nipple", "nipples", "nude", "nudes", "orgasms", "orgies", "orgy", "penis", "porn", "porno", "pussy",
    "rape", "raped", "scrotum", "sex", "sexy", "shit", "slut", "sluts", "slutty", "striptease", "tits", "upskirt",
    "vagina", "vulva", "whore", "whores", "xxx",
})
# fmt: on
"""Words that are disguised more than others: the vocabulary has some in pieces only, and `S.E.X.` is no acronym."""

_BETWEEN_WORDS = frozenset("@!|+")
"""Signs that also stand between words: in an address, after a shout. Only a whole word is believed of them."""

MOST_READINGS = 16
"""Of a word with ambiguous signs."""

LONGEST = 24
"""Letters of a disguised word."""

MOST_LETTERS = 400
"""Set apart in one run; more are a table or a game."""

MANY_LETTERS = 12
"""Set apart in one run: nobody writes so many by accident."""

STRAY = 3
"""What a letter outside all words costs, in words."""

MANY = 3
"""Runs of letters set apart that are no accident."""

_sign = re.escape("".join(SIGNS))
_SPELLING = frozenset([*ascii_letters, *SIGNS])
_SUSPECT = re.compile(  # begins with the sign, of which there are few: three times as fast
    f"[{_sign}](?:(?<=[A-Za-z].)[{_sign}]*(?=[A-Za-z])|(?<=[@$])(?<![\\w@$].)(?=[A-Za-z]))"
)
_FIGURED = re.compile(f"(?<![\\w@$|+€])[A-Za-z{_sign}]{{3,{LONGEST}}}(?![\\w@$|+€])")
_gap = r"[\s._*·•/\\~-]"
_MAYBE_APART = re.compile(rf"(?P<gap>{_gap})[\w$@!](?P=gap)[\w$@!](?!\w)")
_APART = re.compile(rf"(?<!\w)[\w$@!](?P<gap>{_gap})[\w$@!](?:(?P=gap)[\w$@!])+(?!\w)")
_APART_OR_PAIR = re.compile(rf"(?<!\w)[\w$@!](?P<gap>{_gap})[\w$@!](?:(?P=gap)[\w$@!])*(?!\w)")


def respelt(text: str) -> tuple[str, tuple[str, ...]]:
    """`text` respelt, and how it was disguised; empty if there is nothing to guess."""
    joined = _join_all(text) if _MAYBE_APART.search(text) else text
    guess = _read_figures(joined)
    found = ((GAPS,) if joined != text else ()) + ((FIGURES,) if guess != joined else ())
    return (guess if found else "", found)


def _join_all(text: str) -> str:
    """Many runs of letters in a text are its way of writing, so that short and rare words are joined as well."""
    runs = [run for run in _APART.finditer(text) if not _is_acronym(run)]
    if len(runs) < MANY:
        return _APART.sub(partial(_join, believe_any=False), text)
    joined = _APART_OR_PAIR.sub(partial(_join, believe_any=True), text)
    return re.sub("  +", " ", joined)  # between words so written stand two


def _join(run: re.Match[str], believe_any: bool) -> str:
    letters = run[0][::2]
    if len(letters) > MOST_LETTERS or not _mostly_letters(letters):
        return run[0]
    readings = _readings(letters.lower())
    if explicit := [reading for reading in readings if reading in EXPLICIT]:
        return explicit[0]
    if _is_acronym(run) or not (believe_any or len(letters) > 3):
        return run[0]
    words = next((" ".join(words) for reading in readings if (words := split(reading))), "")
    return words or (letters if believe_any else " ".join(_mostly_words(readings[0])) or run[0])


def _is_acronym(run: re.Match[str]) -> bool:
    return run["gap"] in ".-" and run[0].isupper()


def _read_figures(text: str) -> str:
    """From each sign between letters out to its word: most words have none."""
    pieces, done = [], 0
    for sign in _SUSPECT.finditer(text):
        start = sign.start()
        while start > max(done, sign.start() - LONGEST) and text[start - 1] in _SPELLING:
            start -= 1
        if start >= done and (word := _FIGURED.match(text, start)):
            pieces += [text[done:start], _read(word[0])]
            done = word.end()
    return "".join([*pieces, text[done:]])


def _read(word: str) -> str:
    """The word that `word` stands for, its last signs taken for letters, or else as they are (`p0rn!`)."""
    bare = word.rstrip("".join(_BETWEEN_WORDS))
    ways = ((meant, spelt) for spelt in dict.fromkeys((word, bare)) if (meant := _meant(spelt)))
    return next((meant + word[len(spelt) :] for meant, spelt in ways), word)


def _meant(word: str) -> str:
    if not _mostly_letters(word):
        return ""
    fits = is_word if _BETWEEN_WORDS.isdisjoint(word) else is_whole_word
    return next((reading for reading in _readings(word.lower()) if fits(reading)), "")


def _mostly_letters(word: str) -> bool:
    return 2 * sum(one.isalpha() for one in word) >= len(word)


def _readings(word: str) -> list[str]:
    choices = [SIGNS.get(letter, letter) for letter in word]
    return ["".join(reading) for reading in islice(product(*choices), MOST_READINGS)]


def is_whole_word(word: str) -> bool:
    """Whether lower-case `word` is explicit or a token of its own."""
    return word in _words()


@lru_cache(maxsize=4_096)
def is_word(word: str) -> bool:
    """Whether lower-case `word` is a token of its own, or of pieces that are no mere syllables."""
    if len(word) < 3 or not word.isalpha() or not word.isascii():
        return False
    pieces = [len(piece) for piece in _pieces(f" {word}")]
    return is_whole_word(word) or min(pieces[0] - 1, *pieces[1:], len(word)) >= 3


def _pieces(text: str) -> list[bytes]:
    vocabulary = read_vocabulary()
    return [vocabulary[token] for token in _tokenizer().encode(text)]


@cache
def _tokenizer() -> WorldTokenizer:
    return WorldTokenizer()


@cache
def _words() -> frozenset[str]:
    """Lower-case words in ASCII that are tokens of their own, of single letters only two."""
    tokens = (token[1:].decode("utf-8", "ignore") for token in read_vocabulary().values() if token.startswith(b" "))
    words = {word for word in tokens if len(word) > 1 and word.isascii() and word.isalpha() and word.islower()}
    return EXPLICIT | words | {"a", "i"}


def split(letters: str) -> list[str]:
    """`letters` cut into as few words as possible; empty if they do not make words, or none of three letters."""
    pieces = _cut(letters)
    return pieces if all(piece in _words() for piece in pieces) and 3 * len(pieces) <= len(letters) else []


def _mostly_words(letters: str) -> list[str]:
    """As `split`, with letters left over between words if a third of so many letters lies in words of four or more."""
    pieces = _cut(letters)
    in_words = sum(len(piece) for piece in pieces if len(piece) >= 4 and piece in _words())
    return pieces if len(letters) >= MANY_LETTERS and 3 * in_words >= len(letters) else []


def _cut(letters: str) -> list[str]:
    """Words, and single letters where there is no way around them; of all ways the one with the fewest of both."""
    best: list[tuple[int, int]] = [(0, 0)]  # (cost, where the last piece begins) for each length
    for end in range(1, len(letters) + 1):
        starts = range(max(0, end - LONGEST), end)
        ways = [(best[start][0] + 1, start) for start in starts if letters[start:end] in _words()]
        best.append(min([*ways, (best[end - 1][0] + STRAY, end - 1)]))
    pieces: list[str] = []
    end = len(letters)
    while end:
        start = best[end][1]
        pieces.insert(0, letters[start:end])
        end = start
    return pieces
