"""A small job that costs little to rate: texts, tags and tiny pictures, a few of them broken."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SHARD, BATCH = 12, 4
"""Items, unless asked otherwise."""
WORDS = """a boy and his dog walk by the lake while the killer hunts them with a knife and there is blood murder
school summer war kiss naked dance song"""
GENRES = ("Horror", "Comedy", "Drama", "War", "Family", "Romance")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a job rates, and how."""

    manifest: Path
    media: Path
    configs: dict[str, Path]
    """By placement."""
    items: int


def make_corpus(folder: Path, items: int, shard: int = SHARD, batch: int = BATCH, every: int = 4) -> Corpus:
    """One item in `every` has a picture, a tenth of these a broken one, and one item in five has no text."""
    media = folder / "media"
    media.mkdir(parents=True)
    random, pictures = Random(0), itertools.cycle(_pictures())
    rows = [_row(number, random, number % every == 0) for number in range(items)]
    for number, row in enumerate(rows):
        if "image" in row:
            data = next(pictures)
            (folder / str(row["image"])).write_bytes(data[:30] if number % (10 * every) == 0 else data)
    manifest = folder / "items.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Corpus(manifest, media, {one: _config(folder, one, shard, batch) for one in ("fused", "split")}, items)


def _row(number: int, random: Random, pictured: bool) -> dict[str, object]:
    row: dict[str, object] = {"id": f"item {number}", "tags": random.sample(GENRES, 2)}
    if number % 5:
        row["text"] = " ".join(random.choices(WORDS.split(), k=random.randint(4, 30)))
    if pictured:
        row["image"] = f"media/{number}.png"
    return row


def _pictures() -> list[bytes]:
    """Samples at the size of a thumbnail."""
    made = []
    for name in ("lake.jpg", "warning-sign.png"):
        with Image.open(SAMPLES / name) as picture:
            stream = io.BytesIO()
            picture.convert("RGB").resize((64, 48)).save(stream, "PNG")
            made.append(stream.getvalue())
    return made


def _config(folder: Path, placement: str, shard: int, batch: int) -> Path:
    path = folder / f"{placement}.yaml"
    settings = {
        "experts": [{"kind": kind} for kind in ("text", "tags", "thresholds")],
        "running": {"placement": placement, "shard_items": shard, "batch_items": batch},
    }
    path.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    return path
