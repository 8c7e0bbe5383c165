"""A tiny labelled set of our own and a tiny run on it: seconds, no data folder needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from capitoline.pipelines.train import train

CONFIGURATION = """
kind: text
name: tiny
purpose: For tests.
network: {width: 64, layers: 1, features: 8, dropout: 0.0}
epochs: 6
batch: 16
rate: 1.0e-2
warmup: 5
window: 24
rarest: 1
sources:
  - {file: rows.jsonl, columns: [text], licence: CC0}
  - {file: rows.jsonl, head: tags, columns: [tags], licence: CC0}
"""

WORDS = {"PG": "a kitten plays", "R": "he shoots and swears", "XXX": "explicit scenes of sex"}
TAGS = {"PG": "family, animals", "R": "thriller; crime", "XXX": "adult"}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows, a configuration of their training, and a finished run in `run`."""
    folder = tmp_path_factory.mktemp("tiny")
    draw = np.random.default_rng(0)
    with (folder / "rows.jsonl").open("w") as stream:
        for number in range(240):
            label = str(draw.choice(list(WORDS)))
            split = "val" if number % 6 == 0 else "train"
            text = f"scene {number}: {WORDS[label]}"
            row = {"id": str(number), "split": split, "rating5": label, "text": text, "tags": TAGS[label]}
            stream.write(json.dumps(row) + "\n")
    (folder / "tiny.yaml").write_text(CONFIGURATION)
    train(folder / "tiny.yaml", folder / "run", folder)
    return folder
