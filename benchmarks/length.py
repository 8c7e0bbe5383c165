"""Whether false alarms rise with a film's length, for each rule that makes one score of its frames.

    python benchmarks/length.py DATA

Benign film is spliced from the clips rated PG of emotionlib's val split, a frame a second, from ten
seconds to two hours; a film with a scene has a quarter of it replaced by clips rated XXX. Each film is
looked at by 16 frames spread over it, as served, and by every frame of it, as a naive rule would.
Intervals are Wilson's, 95 %; the splices of one length share clips, so they are a little too narrow.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fit_thresholds import WINDOW, Explicit, explicit_scores
from harness import RESULTS
from length_plot import write_plot

from capitoline.configs.settings import ThresholdsExpert
from capitoline.modalities.networks.frames import nsfw_vectors, spread
from capitoline.modalities.networks.rater import SequenceRater
from capitoline.modalities.schema import Tag
from capitoline.modalities.tagging.aggregation import AGGREGATIONS
from capitoline.modalities.tagging.tag_tables import load_tables
from capitoline.modalities.weights import find_weights
from capitoline.pipelines.experts import table_path

LENGTHS = (10, 60, 600, 7_200)
"""Seconds, a frame each."""
FILMS = 300
SCENE = 0.25
SERVED, EVERY = "16 frames", "every frame"

Alarm = Callable[[Sequence[Explicit]], npt.NDArray[np.bool_]]
"""Films → whether each is rated above PG."""


def clips(data: Path, rating: str) -> list[Explicit]:
    """The val clips of a rating that have a frame a second."""
    with gzip.open(data / "emotionlib_video.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    pairs = zip(rows, explicit_scores(data), strict=True)
    wanted = ("val", rating, 1)
    return [one for row, one in pairs if (row["split"], row["rating5"], row["interval_s"]) == wanted and len(one)]


def spliced(pool: Sequence[Explicit], length: int, draw: np.random.Generator) -> Explicit:
    """A film of `length` frames out of clips in a random order."""
    parts: list[Explicit] = []
    while sum(map(len, parts)) < length:
        parts.append(pool[draw.integers(len(pool))])
    return np.concatenate(parts)[:length]


def with_scene(film: Explicit, pool: Sequence[Explicit], draw: np.random.Generator) -> Explicit:
    """The film with a quarter of it replaced by one stretch of explicit clips."""
    count = max(1, round(SCENE * len(film)))
    start = int(draw.integers(len(film) - count + 1))
    return np.concatenate((film[:start], spliced(pool, count, draw), film[start + count :]))


def as_served(film: Explicit) -> Explicit:
    return film[spread(len(film), WINDOW)]


def threshold_alarm(rule: str) -> Alarm:
    """The thresholds expert's, of scores alone."""
    tables = load_tables(table_path(ThresholdsExpert().table))
    table = tables.of_films(rule)

    def alarm(films: Sequence[Explicit]) -> npt.NDArray[np.bool_]:
        scores = [float(AGGREGATIONS[rule](one[:, None])[0]) for one in films]
        return np.array([table.severity((Tag("nsfw", score),)) > 0 for score in scores])

    return alarm


def recurrent_alarm() -> Alarm:
    """The video expert's."""
    rater = SequenceRater(find_weights("video"), "video")
    return lambda films: rater([nsfw_vectors(one) for one in films], "video").severities > 0


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953)."""
    share, square = hits / count, z * z / count
    middle, half = share + square / 2, z * (share * (1 - share) / count + square / (4 * count)) ** 0.5
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def measured(alarm: Alarm, films: Sequence[Explicit]) -> dict[str, float]:
    hits = int(alarm(films).sum())
    low, high = wilson(hits, len(films))
    return {"rate": hits / len(films), "low": round(low, 4), "high": round(high, 4)}


def main(data: Path) -> None:
    draw = np.random.default_rng(0)
    benign, explicit = clips(data, "PG"), clips(data, "XXX")
    alarms = {rule: threshold_alarm(rule) for rule in AGGREGATIONS} | {"recurrent": recurrent_alarm()}
    looks: dict[str, Callable[[Explicit], Explicit]] = {SERVED: as_served, EVERY: lambda film: film}
    rows = []
    for length in LENGTHS:
        films = [spliced(benign, length, draw) for _ in range(FILMS)]
        scenes = [with_scene(film, explicit, draw) for film in films]
        for look, seen in looks.items():
            for rule, alarm in alarms.items():
                if rule == "recurrent" and look == EVERY:
                    continue  # it was trained on 16 frames and is given no more
                row = {
                    "seconds": length,
                    "look": look,
                    "rule": rule,
                    "false_alarms": measured(alarm, [seen(one) for one in films]),
                    "recall_of_scenes": measured(alarm, [seen(one) for one in scenes]),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    default = ThresholdsExpert().aggregation
    record = {
        "films": FILMS,
        "scene": SCENE,
        "default": default,
        "rows": rows,
    }
    (RESULTS / "length.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_plot(RESULTS / "length.svg", rows, LENGTHS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
