"""Which files of a container make one item.

In folders and zips each medium is an item, joined by the sidecars of its own stem
(`a.jpg` + `a.txt`, `a.json`, `a.tags`) or full name (`a.jpg.json`). Two media of one stem are
two items, each with those sidecars. A sidecar without a medium is an ordinary file.

In tars, as WebDataset has it, all members of one folder whose names agree up to the first dot
are one item, if no two of its media are of one class (pictures; films and sounds) and all have
one stem. Otherwise (`x.jpg` + `x.png`, `v1.cover.jpg` + `v1.song.mp3`) nothing shows that they
belong together, and pooling them could make the verdict milder: each is an item of its own,
with the family's texts. A family of texts alone is one item.

A file whose name is no medium's and no sidecar's is always an item of its own; the decoder
says by its bytes what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.entries import Container, Entry
from capitoline.pipelines.sources.names import printable
from capitoline.pipelines.sources.sidecars import FIELDS, Annotation, combined, read_sidecar

PICTURES = frozenset("jpg jpeg jpe jfif png apng gif webp avif bmp tif tiff jp2 j2k ico heic heif".split())  # noqa: SIM905
FILMS = frozenset("mp4 m4v mov mkv webm avi mpg mpeg mpe wmv flv ogv 3gp 3g2 m2ts mts vob asf".split())  # noqa: SIM905
SOUNDS = frozenset("wav mp3 flac ogg oga opus m4a aac wma aif aiff amr ac3 mka weba".split())  # noqa: SIM905
MEDIA = PICTURES | FILMS | SOUNDS
TAR_FIELDS = (*FIELDS, "cls")


class Rule(NamedTuple):
    """How the files of a kind of container are grouped."""

    family: Callable[[str], str]
    """Family of a file, by its name without the folder."""
    items: Callable[[Container, Sequence[Entry]], Iterator[Item]]


def extension(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def stem_of(name: str) -> str:
    """`a` for `a.jpg`, `a.txt` and `a.jpg.json`; `a.b` for `a.b.jpg`."""
    if extension(name) in FIELDS and extension(_cut(name)) in MEDIA:
        name = _cut(name)
    return _cut(name)


def basename_of(name: str) -> str:
    """WebDataset's: the name up to its first dot, not counting one that begins it."""
    return name[:1] + name[1:].partition(".")[0]


def _cut(name: str) -> str:
    return name.rpartition(".")[0] or name


def plain_item(container: Container, entry: Entry, annotations: Sequence[Annotation] = ()) -> Item:
    """One file as an item, with what is said beside it."""
    return _item(container, entry.name, [entry], annotations)


def _item(container: Container, name: str, entries: Sequence[Entry], annotations: Sequence[Annotation]) -> Item:
    said = combined(annotations)
    problems = [*(one.problem for one in entries if one.problem), *filter(None, [said.problem])]
    files = tuple(container.file(one) for one in entries if not one.problem)
    return Item(printable(container.id(name)), said.text, said.tags, files, said.metadata, "; ".join(problems))


def _folder_items(container: Container, family: Sequence[Entry]) -> Iterator[Item]:
    media = [one for one in family if extension(one.base) in MEDIA]
    said: dict[int, list[Annotation]] = {index: [] for index in range(len(media))}
    for one in family:
        if extension(one.base) not in MEDIA:
            targets = _targets(one, media) if extension(one.base) in FIELDS else []
            annotation, own = _read(container, one, bool(targets))
            for index in targets:
                said[index].append(annotation)
            if own:
                yield plain_item(container, one)
    for index, one in enumerate(media):
        yield plain_item(container, one, said[index])


def _targets(sidecar: Entry, media: Sequence[Entry]) -> list[int]:
    """The media that a sidecar speaks of: those of its full name, else those of its stem."""
    owner = _cut(sidecar.base)
    exact = [index for index, one in enumerate(media) if one.base == owner]
    return exact or [index for index, one in enumerate(media) if _cut(one.base) == owner]


def _read(container: Container, entry: Entry, wanted: bool) -> tuple[Annotation, bool]:
    """What a sidecar says, and whether it must be an item of its own."""
    if not wanted:
        return Annotation(), True
    if entry.problem:
        return Annotation(problem=f"the sidecar {entry.name}: {entry.problem}"), True
    return read_sidecar(container.file(entry), extension(entry.base))


def _tar_items(container: Container, family: Sequence[Entry]) -> Iterator[Item]:
    media = [one for one in family if extension(one.base) in MEDIA]
    said: list[Annotation] = []
    for one in family:
        if extension(one.base) not in MEDIA:
            annotation, own = _read(container, one, extension(one.base) in TAR_FIELDS and len(family) > 1)
            said.append(annotation)
            if own:
                yield plain_item(container, one)
    if len(media) > 1 and _is_sample(media):
        yield _item(container, _cut(media[0].name), media, said)
    elif media:
        yield from (plain_item(container, one, said) for one in media)
    elif any(one != Annotation() for one in said):
        yield _item(container, _cut(family[0].name), [], said)


def _is_sample(media: Sequence[Entry]) -> bool:
    pictures = sum(extension(one.base) in PICTURES for one in media)
    return pictures <= 1 and len(media) - pictures <= 1 and len({_cut(one.base) for one in media}) == 1


FOLDER_RULE = Rule(stem_of, _folder_items)
TAR_RULE = Rule(basename_of, _tar_items)
