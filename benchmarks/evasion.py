"""How far each expert's score falls when what it looks at comes in disguise.

    python benchmarks/evasion.py [--pictures N] [--texts N]

Everything is rated as a job rates it, by the whole graph in this process. Texts are rated before and after
normalisation. There is no explicit picture here, and none may be: of pictures and films the change of p(nsfw) and of
the image and video experts' expected severity is measured, on harmless ones. A disguise that changes these little
would hide little. Writes `benchmarks/results/evasion.json` and prints a table for LOG.md.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from disguises import TEXTS, pictures, write_film
from harness import Row, write_rows
from PIL import Image

from capitoline.configs.settings import Settings
from capitoline.modalities.language.normalise import Normalised
from capitoline.modalities.networks import trunk
from capitoline.modalities.schema import Evidence, File, Item
from capitoline.pipelines.assembly import job_graph
from capitoline.pipelines.lane import Lane

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CAPITOLINE_DATA", ROOT.parent / "shared" / "data"))
BATCH = 32
LONG = 600
"""Frames of the long film, 75 seconds."""

Scores = Mapping[str, Evidence]
"""By expert, of one item."""


@dataclass(frozen=True, slots=True)
class Fall:
    """What a disguise did to one expert's scores."""

    disguise: str
    expert: str
    falls: tuple[float, ...]
    """Score of the plain one less that of the disguised one, of items that both are scored."""
    naked: float
    """Mean score of the plain ones."""
    milder: float
    """Share whose rating fell."""
    unrated: float
    """Share that this expert rated and no longer does: it abstains or reports the item unsupported."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.falls)) if self.falls else 0.0

    @property
    def note(self) -> str:
        worst = max(self.falls, default=0.0)
        return f"worst fall {worst:.2f}; {self.milder:.1%} rated milder, {self.unrated:.1%} no longer rated"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8, help="of each set")
    parser.add_argument("--texts", type=int, default=120, help="explicit prompts, and as many profane words")
    asked = parser.parse_args()
    lane = Lane(job_graph(Settings()))
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_rows("evasion", chain(text_rows(lane, asked.texts), media_rows(lane, Path(folder), asked.pictures)))
    finally:
        lane.close()


def text_rows(lane: Lane, count: int) -> Iterator[Row]:
    """Mean fall with normalisation beside that without."""
    for name, texts in {"prompts": explicit_prompts(count), "profanity": profane_texts(count)}.items():
        plain = rated_texts(lane, texts)
        for disguise, change in TEXTS.items():
            disguised = [change(text) for text in texts]
            with as_written():
                before = fall(disguise, "text", plain, rated_texts(lane, disguised))
            after = fall(disguise, "text", plain, rated_texts(lane, disguised))
            note = f"{after.note}; before: {before.note}"
            must_be = "<= 0.5" if before.mean > 0.1 else ""
            yield Row(f"{name}: {disguise}", "not normalised", after.mean, before.mean, must_be, note)


def media_rows(lane: Lane, folder: Path, count: int) -> Iterator[Row]:
    """Mean score in disguise beside that of the plain picture."""
    shown = [picture for name in ("imagenet_samples", "posters_mm") for picture in zipped(name, count)]
    shown += [Image.open(ROOT / "samples" / name).convert("RGB") for name in ("lake.jpg", "warning-sign.png")]
    plain = rated_files(lane, folder, [_png(one) for one in shown], "png")
    for disguise, change in pictures(shown[0]).items():
        disguised = rated_files(lane, folder, [change(one) for one in shown], "bin")
        for expert in ("thresholds", "image", "ocr"):
            yield _kept(fall(f"pictures: {disguise}", expert, plain, disguised))
    yield from film_rows(lane, folder, shown, plain)


def film_rows(lane: Lane, folder: Path, shown: Sequence[Image.Image], plain: Sequence[Scores]) -> Iterator[Row]:
    """The three most suspicious pictures, each filling a film, and then part of a long one."""
    order = sorted(range(1, len(shown)), key=lambda row: -(score(plain[row]["thresholds"]) or 0.0))[:3]
    whole = rated_films(lane, folder, [[(shown[row], LONG)] for row in order])
    for name, frames in {"a tenth of the film": LONG // 10, "one second": 8, "one frame": 1}.items():
        rest = (LONG - frames) // 2
        films = [[(shown[0], rest), (shown[row], frames), (shown[0], rest)] for row in order]
        hidden = rated_films(lane, folder, films)
        for expert in ("thresholds", "video"):
            yield _kept(fall(f"films: {name}", expert, whole, hidden))


def _kept(one: Fall) -> Row:
    what = "p(nsfw)" if one.expert == "thresholds" else "severity"
    return Row(one.disguise, f"{one.expert}, plain ({what})", one.naked - one.mean, one.naked, "", one.note)


def fall(disguise: str, expert: str, plain: Sequence[Scores], disguised: Sequence[Scores]) -> Fall:
    pairs = [(one[expert], other[expert]) for one, other in zip(plain, disguised, strict=True)]
    scored = [(before, after) for one, other in pairs
              if (before := score(one)) is not None and (after := score(other)) is not None]  # fmt: skip
    rated = [(one.severity, other.severity) for one, other in pairs if one.severity is not None]
    return Fall(
        disguise,
        expert,
        tuple(before - after for before, after in scored),
        float(np.mean([before for before, _ in scored])) if scored else 0.0,
        sum(after is not None and after < before for before, after in rated) / max(1, len(rated)),
        sum(after is None for _, after in rated) / max(1, len(rated)),
    )


def score(evidence: Evidence) -> float | None:
    """Expected severity, or p(nsfw) of the tagger; None if neither is known."""
    if evidence.probabilities:
        return float(np.dot(evidence.probabilities, np.arange(len(evidence.probabilities))))
    return next((tag.score for tag in evidence.tags if tag.name == "nsfw"), None)


@contextmanager
def as_written() -> Iterator[None]:
    """Texts are read as they are written."""
    normalise: Callable[[str], Normalised] = trunk.normalise
    trunk.normalise = Normalised
    try:
        yield
    finally:
        trunk.normalise = normalise


def rated_texts(lane: Lane, texts: Sequence[str]) -> list[Scores]:
    return rate(lane, [Item(str(row), text=text) for row, text in enumerate(texts)])


def rated_files(lane: Lane, folder: Path, contents: Sequence[bytes], kind: str) -> list[Scores]:
    paths = [folder / f"{row}.{kind}" for row in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return rate(lane, [_item(path) for path in paths])


def rated_films(lane: Lane, folder: Path, films: Sequence[Sequence[tuple[Image.Image, int]]]) -> list[Scores]:
    paths = [folder / f"{row}.mp4" for row in range(len(films))]
    for path, shots in zip(paths, films, strict=True):
        write_film(path, shots)
    return rate(lane, [_item(path) for path in paths])


def rate(lane: Lane, items: Sequence[Item]) -> list[Scores]:
    batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    records = [record for batch in batches for record in lane(batch).values]
    return [{one.expert: one for one in record.verdict.evidence} for record in records]


def _item(path: Path) -> Item:
    return Item(path.name, files=(File(str(path), path.name, path.stat().st_size),))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def explicit_prompts(count: int) -> list[str]:
    rows = (row for row in read("t2v_safetybench") if row["rating5"] in ("X", "XXX") and row["text"].isascii())
    return [row["text"] for _, row in zip(range(count), rows, strict=False)]


def profane_texts(count: int) -> list[str]:
    """Profane words in a sentence, for a word alone is no text."""
    rows = (row for row in read("profanity_severity") if row["label"] != "Mild" and row["canonical"].isalpha())
    words = list(dict.fromkeys(row["canonical"] for row in rows))[:count]
    return [f"The man turns to her and says {word} in a loud voice." for word in words]


def read(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def zipped(name: str, count: int) -> list[Image.Image]:
    """`count` pictures, evenly spread over the archive."""
    with zipfile.ZipFile(DATA / f"{name}.zip") as archive:
        names = archive.namelist()
        chosen = names[:: len(names) // count][:count]
        return [Image.open(io.BytesIO(archive.read(one))).convert("RGB") for one in chosen]


if __name__ == "__main__":
    main()
