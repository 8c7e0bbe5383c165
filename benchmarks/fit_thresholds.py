"""Fits the values of `configs/tags.yaml` to rated films, series and anime; prints how good they are.

    python benchmarks/fit_thresholds.py DATA [TABLE]

DATA is the folder with the labelled sets. With TABLE, the file is rewritten: values of given
tags are fitted to the training rows, those of `CHOSEN` and the taggers' table are kept.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from sklearn.metrics import accuracy_score, cohen_kappa_score

from capitoline.modalities.networks.frames import spread
from capitoline.modalities.schema import Decoded, Item
from capitoline.modalities.tagging.aggregation import AGGREGATIONS
from capitoline.modalities.tagging.tag_tables import Table, Tables, normalised
from capitoline.modalities.tagging.threshold_fit import fit_table, fit_thresholds
from capitoline.modalities.thresholds import TagThresholds

Explicit = npt.NDArray[np.float32]
"""(frames,) p(explicit) of a clip."""

WINDOW = 16
"""Frames that a film is looked at by."""

LABELS = ("PG", "PG13", "R", "X", "XXX")

COLUMNS = {
    "posters_mm": ("genres",),
    "streaming_titles": ("genres",),
    "anime_mal": ("genres", "themes", "demographics"),
}
"""Data sets with tags and ratings, and where their tags are."""

SUGGESTIVE, MATURE, EXPLICIT, HARDCORE = 0.5, 4.0, 11.0, 20.0
"""PG13, R, X and XXX, far enough above the thresholds that a mild genre or two beside such a tag
do not undo it: `animation` takes 2.8 away."""

CHOSEN = {
    **dict.fromkeys(("suggestive", "swimwear", "underwear", "lingerie", "alcohol", "violence"), SUGGESTIVE),
    **dict.fromkeys(("gore", "blood", "partial nudity", "nudity", "drugs", "self harm", "suicide"), MATURE),
    **dict.fromkeys(("nsfw", "nude", "naked", "topless", "explicit", "sex", "erotica", "extreme gore"), EXPLICIT),
    **dict.fromkeys(("hentai", "porn", "pornography", "xxx", "sexual acts", "hardcore"), HARDCORE),
}
"""Tags of image sites, of which there are no rated examples."""

MOST_SEVERE = 14.0
"""Threshold of XXX. The fitted one rests on 17 anime and would call every explicit picture XXX."""

NEUTRAL = {
    *("lgbtq", "lgbtq+", "lgbtq movies", "black stories", "latino", "boys love", "girls love", "faith & spirituality"),
    *("faith and spirituality", "british tv shows", "korean tv shows", "spanish-language tv shows", "international"),
    *("international movies", "international tv shows", "crossdressing", "magical sex shift"),
}
"""Known and worth nothing: who people are, what they believe and where they live is not a rating,
though in a catalogue it goes with one."""

TAGGER = Table(
    thresholds=(0.5, 0.5, 0.8, 1.6),
    values={
        "nsfw": 1.0,
        "female genitalia exposed": 1.0,
        "male genitalia exposed": 1.0,
        "anus exposed": 1.0,
        "female breast exposed": 0.7,
        "buttocks exposed": 0.6,
        "female genitalia covered": 0.3,
    },
)
"""OpenNSFW's authors call it safe below 0.2 and sure above 0.8. Here 1 to 4 % of harmless photographs
reach 0.5 and under 1 % reach 0.8; alone it cannot give XXX. A covered body is no tag of alarm."""

HEADER = """\
# Each tag a value, each rating a threshold; the score is the sum of value × score of the tag.
# `given`: tags that an item came with, score 1. `tagger`: tags that taggers gave its pictures.
# `films`: tags of a film's frames, made one by a rule of modalities/tagging/aggregation.py.
# Written by benchmarks/fit_thresholds.py, which says where each figure comes from; it may be
# changed by hand.
"""


def rows(data: Path, name: str, split: str) -> Iterator[tuple[list[str], int]]:
    for line in gzip.decompress((data / f"{name}.jsonl.gz").read_bytes()).splitlines():
        row = json.loads(line)
        if row["split"] == split and row["rating5"] in LABELS:
            listed = ", ".join((row[column] or "").replace(";", ", ") for column in COLUMNS[name])
            yield [tag for tag in listed.split(", ") if tag], LABELS.index(row["rating5"])


def without_neutral(tags: list[str]) -> list[str]:
    return [tag for tag in tags if normalised(tag) not in NEUTRAL]


def fitted(data: Path) -> Tables:
    training = (row for name in COLUMNS for row in rows(data, name, "train"))
    table = fit_table(((without_neutral(tags), severity) for tags, severity in training), LABELS)
    given = Table(
        thresholds=(*table.thresholds[:-1], MOST_SEVERE),
        values=table.values | CHOSEN | dict.fromkeys(sorted(NEUTRAL), 0.0),
    )
    return Tables(labels=LABELS, given=given, tagger=TAGGER, films=film_tables(data))


def film_tables(data: Path) -> dict[str, Table]:
    """For each rule over frames but `any`, thresholds fitted to what it makes of windows of rated clips.

    The scores of the clips are another classifier's; of OpenNSFW's there are no rated films.
    """
    windows, severities = clip_windows(data, "train")
    tables = {}
    for rule in sorted(AGGREGATIONS.keys() - {"any"}):
        scores = [float(AGGREGATIONS[rule](window[:, None])[0]) for window in windows]
        thresholds = fit_thresholds(scores, severities, len(LABELS))
        tables[rule] = Table(thresholds=(*thresholds[:-1], TAGGER.thresholds[-1]), values=TAGGER.values)
    return tables


def clip_windows(data: Path, split: str) -> tuple[list[Explicit], list[int]]:
    """A window of 16 frames, p(explicit) each, from the middle of every clip, and the clip's severity.

    Of one length, since a clip's length gives its class away.
    """
    with gzip.open(data / "emotionlib_video.jsonl.gz", "rt", encoding="utf-8") as lines:
        clips = [json.loads(line) for line in lines]
    windows, severities = [], []
    for clip, scores in zip(clips, explicit_scores(data), strict=True):
        if clip["split"] == split and len(scores):
            start = max(0, (len(scores) - WINDOW) // 2)
            some = scores[start : start + WINDOW]
            windows.append(some[spread(len(some), WINDOW)])
            severities.append(LABELS.index(clip["rating5"]))
    return windows, severities


def explicit_scores(data: Path) -> list[Explicit]:
    """Of each clip the frames' p(explicit) against safe; frames without scores are left out."""
    arrays = np.load(data / "emotionlib_video.npz")
    frames, offsets = arrays["frames"].astype(np.float32), arrays["offsets"]
    found = []
    for start, end in pairwise(offsets.tolist()):
        scores = frames[start:end, :2]
        scores = scores[(scores >= 0).all(axis=1) & (scores.sum(axis=1) > 0)]
        found.append(scores[:, 1] / scores.sum(axis=1))
    return found


def write(tables: Tables, target: Path) -> None:
    body = yaml.safe_dump(tables.model_dump(mode="json"), sort_keys=True)
    target.write_text(HEADER + body, encoding="utf-8")


def show(tables: Tables, data: Path, name: str) -> None:
    expected = list(rows(data, name, "val"))
    items = [Decoded(Item(str(number)), "", tags=tuple(tags)) for number, (tags, _) in enumerate(expected)]
    found = [one.severity for one in TagThresholds(tables)(items)]
    pairs = [(true, rated) for (_, true), rated in zip(expected, found, strict=True) if rated is not None]
    truth, rated = zip(*pairs, strict=True)
    kappa = cohen_kappa_score(truth, rated, weights="quadratic")
    down = sum(mine < true for true, mine in pairs) / len(pairs)
    print(
        f"{name:17} rated {len(pairs)} of {len(expected)}  QWK {kappa:.3f}  "
        f"accuracy {accuracy_score(truth, rated):.3f}  rated too mildly {down:.3f}"
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    result = fitted(folder)
    for data_set in COLUMNS:
        show(result, folder, data_set)
    if len(sys.argv) > 2:
        write(result, Path(sys.argv[2]))
