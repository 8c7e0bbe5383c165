"""One explicit sentence in a harmless text is heard, from the same reading of the text."""

from __future__ import annotations

import gzip
import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from capitoline.modalities.networks.rater import Ratings, SequenceRater, pool_stretches
from capitoline.modalities.networks.trunk import FAR, STRETCH, TextRater, stretches, worst_of
from capitoline.modalities.weights import find_weights


def said(*rows: tuple[float, ...]) -> Ratings:
    probabilities = np.array(rows, np.float32)
    return Ratings(probabilities, np.zeros((len(rows), 1), np.float32), probabilities.argmax(1))


MILD, GRAVE, UNSURE = (0.9, 0.1, 0.0), (0.1, 0.1, 0.8), (0.3, 0.0, 0.7)


@pytest.mark.parametrize("length", [1, 2, 24, 25, 40, 129])
def test_stretches_overlap_by_half_and_leave_nothing_out(length: int) -> None:
    found = stretches(length)
    assert bool(found) == (length - 1 >= 1.5 * STRETCH)
    if found:
        assert (found[0][0], found[-1][1]) == (1, length)  # the token that begins a window is of no stretch
        assert all(before[0] < after[0] < before[1] < after[1] for before, after in pairwise(found))
        assert all(STRETCH / 2 < end - start < 2 * STRETCH for start, end in found)


def test_a_stretch_that_is_sure_of_far_worse_speaks_for_its_text() -> None:
    ratings = worst_of(said(MILD, MILD, GRAVE), [0, 1, 1], windows=2, texts=2)
    assert ratings.severities.tolist() == [0, FAR]
    np.testing.assert_array_equal(ratings.probabilities[1], np.array(GRAVE, np.float32))


def test_a_stretch_that_is_unsure_or_hardly_worse_is_not_heard() -> None:
    assert worst_of(said(MILD, UNSURE), [0, 0], windows=1, texts=1).severities.tolist() == [0]
    assert worst_of(said((0.1, 0.9, 0.0), GRAVE), [0, 0], windows=1, texts=1).severities.tolist() == [1]


def test_stretches_are_pooled_as_sequences_are() -> None:
    hidden = np.random.default_rng(1).random((50, 4), np.float32)
    ends = np.array([(0, 16), (8, 24), (34, 50)])
    by_hand = [np.concatenate((hidden[end - 1], hidden[start:end].mean(0))) for start, end in ends.tolist()]
    np.testing.assert_allclose(pool_stretches(hidden, ends), by_hand, rtol=1e-5)


def test_ratings_of_windows_do_not_depend_on_their_stretches() -> None:
    rater = SequenceRater(find_weights("text"), "text")
    tokens = [np.arange(1, length) for length in (900, 40, 700, 33)]
    alone = rater.by_heads(tokens, ["text"])["text"]
    asked = rater.by_heads(tokens, ["text"], np.array([(1, 1, 17), (1, 9, 25), (3, 1, 30)]))["text"]
    np.testing.assert_allclose(asked.probabilities[:4], alone.probabilities, atol=1e-6)
    assert len(asked.probabilities) == 7


def test_explicit_prompts_among_harmless_captions_are_heard_more_often(data: Path) -> None:
    explicit = [row["text"] for row in _rows(data / "t2v_safetybench.jsonl.gz") if row["rating5"] in ("X", "XXX")]
    captions = [row["text"] for row in _rows(data / "coco_captions_benign.jsonl.gz")]
    draw = random.Random(4)
    texts = []
    for prompt in draw.sample(explicit, 60):
        around = draw.sample(captions, 4)
        texts.append(" ".join([*around[:2], prompt, *around[2:]]))
    rater = TextRater(find_weights("text"))
    windows = [rater.read(text).windows for text in texts]
    owners = [owner for owner, some in enumerate(windows) for _ in some]
    ratings = SequenceRater(find_weights("text"), "text")([one for some in windows for one in some], "text")
    whole, heard = ratings.worst_of(owners, len(texts)).severities, rater(texts).severities
    assert (heard >= whole).all()
    assert (heard <= 1).mean() < 0.7 * (whole <= 1).mean()


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [row for row in map(json.loads, lines) if row["split"] == "val"]
