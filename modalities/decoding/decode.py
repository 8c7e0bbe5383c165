"""Items to decoded items: every file read once, digested, and decoded by its kind, under limits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from capitoline.modalities.decoding.kinds import Guess, Kind, kind_of, named_medium
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling, UndecodableError
from capitoline.modalities.decoding.picture import read_picture
from capitoline.modalities.decoding.plaintext import cut_text, decode_text
from capitoline.modalities.decoding.reading import read_file
from capitoline.modalities.schema import SAMPLE_RATE, Decoded, Failure, File, Frame, Item, Modality, Outcome

DIGEST_BYTES = 16
PATIENCE = 0.8
"""Share of an item's seconds after which a long film is returned as far as it was read, with a failure;
the rest is for what cannot be interrupted, before the guard kills the process."""

NOT_READ = {
    Kind.ARCHIVE: "an archive where a medium was expected",
    Kind.FOREIGN: "a format that is not read here",
    Kind.UNKNOWN: "not a format that is known here",
}


class Decoder:
    """Reads and decodes the files of items. Never raises for an item: what fails is in the decoded item."""

    def __init__(self, limits: DecodeLimits, sampling: Sampling) -> None:
        self.limits, self.sampling = limits, sampling

    def __call__(self, items: Sequence[Item]) -> list[Decoded]:
        """One decoded item each, in order."""
        return [self.decode(item) for item in items]

    def decode(self, item: Item) -> Decoded:
        """The item with its files decoded, as far as they can be."""
        parts = _Parts(item, self.limits, self.sampling)
        for file in item.files:
            parts.add(file)
        return parts.decoded()

    def digest(self, item: Item) -> Decoded:
        """The item with its files read and digested and none decoded: for one that no decoder survived."""
        parts = _Parts(item, self.limits, self.sampling)
        for file in item.files:
            parts.add(file, digest_only=True)
        return parts.decoded()


class _Parts:
    """What was gathered of one item so far."""

    def __init__(self, item: Item, limits: DecodeLimits, sampling: Sampling) -> None:
        self._item, self._limits, self._sampling = item, limits, sampling
        self._deadline = time.monotonic() + PATIENCE * limits.item_seconds
        self._digest = blake2b(digest_size=DIGEST_BYTES)
        self._texts: list[str] = []
        self._pictures: list[Frame] = []
        self._film: list[Frame] = []
        self._sounds: list[npt.NDArray[np.int16]] = []
        self._seconds = 0.0
        self._failures: dict[Modality, Failure] = {}
        self._unreadable: list[Failure] = []
        self._notes: list[str] = []
        self._add_own()

    def add(self, file: File, digest_only: bool = False) -> None:
        """Reads, digests and decodes one more file."""
        guess: Guess | None = None
        try:
            data = read_file(file, self._limits.file_bytes, self._limits.archive_ratio)
            self._update(b"file", data)
            if not digest_only:
                guess = self._guess(data, file.name)
                self._decode(data, guess)
        except UndecodableError as error:
            self._fail(file, guess, error.failure)
        except MemoryError:
            self._fail(file, guess, Failure(Outcome.ERROR, "out of memory"))
        except Exception as error:  # a decoder's surprise at hostile bytes is this item's failure and no other's
            self._fail(file, guess, Failure(Outcome.ERROR, f"{type(error).__name__}: {error}"))

    def decoded(self) -> Decoded:
        return Decoded(
            item=self._item,
            digest=self._digest.hexdigest(),
            text=self._text(),
            tags=self._item.tags,
            pictures=tuple(self._pictures),
            film=tuple(self._film),
            sound=self._sound(),
            duration=self._seconds or None,
            failures=self._failures,
            unreadable=tuple(self._unreadable),
            notes=tuple(self._notes),
        )

    def _add_own(self) -> None:
        """What the item brings besides files."""
        self._update(b"text", (self._item.text or "").encode("utf-8", "surrogatepass"))
        for tag in self._item.tags or ():
            self._update(b"tag", tag.encode("utf-8", "surrogatepass"))
        if self._item.text is not None:
            self._texts.append(self._item.text)
        if self._item.problem:
            self._unreadable.append(Failure(Outcome.ERROR, self._item.problem))

    def _update(self, kind: bytes, part: bytes) -> None:
        """Each part after its kind and length, so that no two different items run together into the same bytes."""
        self._digest.update(b"%b %d " % (kind, len(part)))
        self._digest.update(part)

    def _guess(self, data: bytes, name: str) -> Guess:
        if not data:
            raise UndecodableError("an empty file")
        guess = kind_of(data)
        promised = named_medium(name)
        if guess.kind is Kind.TEXT and promised:
            raise UndecodableError(f"named as a {promised}, yet holds text: a pointer or an error page")
        return guess

    def _decode(self, data: bytes, guess: Guess) -> None:
        match guess.kind:
            case Kind.TEXT:
                text, notes = decode_text(data, guess.format, self._limits.text_characters)
                self._texts.append(text)
                self._notes += notes
            case Kind.PICTURE:
                self._add_picture(data)
            case Kind.FILM | Kind.UNKNOWN:
                self._add_film(data, guess)
            case Kind.ARCHIVE | Kind.FOREIGN:
                raise UndecodableError(f"{NOT_READ[guess.kind]}: {guess.format}", Outcome.UNSUPPORTED)

    def _add_picture(self, data: bytes) -> None:
        limits, sampling = self._limits, self._sampling
        picture = read_picture(
            data, sampling.picture_side, limits.picture_pixels, sampling.animation_frames, limits.animation_frames
        )
        self._pictures += picture.frames
        if picture.failure is not None:
            self._merge(Modality.IMAGE, picture.failure)

    def _add_film(self, data: bytes, guess: Guess) -> None:
        from capitoline.modalities.decoding.film import (  # FFmpeg, which pictures need not wait for
            FilmLimits,
            read_film,
        )

        limits, sampling = self._limits, self._sampling
        asked = FilmLimits(
            sampling.film_frames, sampling.picture_side, limits.film_pixels, limits.sound_seconds, self._deadline
        )
        try:
            film = read_film(data, asked)
        except UndecodableError as error:
            if guess.kind is Kind.UNKNOWN:
                raise UndecodableError(f"{NOT_READ[guess.kind]} (begins {data[:8]!r})", Outcome.UNSUPPORTED) from error
            raise
        self._film += [Frame(frame.pixels, frame.seconds + self._seconds) for frame in film.frames]
        self._sounds += [] if film.sound is None else [film.sound]
        self._seconds += film.duration or 0.0
        self._notes += film.notes
        for modality, failure in film.failures.items():
            self._merge(modality, failure)
        for cover in film.covers:
            self._add_cover(cover)

    def _add_cover(self, data: bytes) -> None:
        try:
            self._add_picture(data)
        except UndecodableError as error:
            self._merge(Modality.IMAGE, Failure(error.failure.outcome, f"attached picture: {error}"))

    def _fail(self, file: File, guess: Guess | None, failure: Failure) -> None:
        named = failure if len(self._item.files) == 1 else Failure(failure.outcome, f"{file.name}: {failure.reason}")
        if guess is None or guess.modality is None:
            self._unreadable.append(named)
        else:
            self._merge(guess.modality, named)

    def _merge(self, modality: Modality, failure: Failure) -> None:
        earlier = self._failures.get(modality)
        if earlier is not None:
            failure = Failure(Outcome.ERROR, f"{earlier.reason}; {failure.reason}")
        self._failures[modality] = failure

    def _text(self) -> str | None:
        if not self._texts:
            return None
        text, notes = cut_text("\n\n".join(self._texts), self._limits.text_characters)
        self._notes += notes
        return text

    def _sound(self) -> npt.NDArray[np.int16] | None:
        if not self._sounds:
            return None
        sound = np.concatenate(self._sounds)
        room = int(self._limits.sound_seconds * SAMPLE_RATE)
        if sound.size > room:
            self._notes.append(f"sound cut after {self._limits.sound_seconds:,.0f} seconds")
        return sound[:room]
