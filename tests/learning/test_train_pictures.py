"""The same program trains an expert of pictures, here on a few real posters."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from capitoline.configs.training import Source, Training
from capitoline.modalities.networks.rater import SequenceRater
from capitoline.modalities.vision.encoder import ImageEncoder
from capitoline.pipelines.train import train

POSTERS = 60
SEVERITIES = {"sex": "kim_sex", "violence": "kim_violence", "language": "kim_language"}


@pytest.fixture
def posters(data: Path, tmp_path: Path) -> Path:
    """A data folder with a few posters."""
    with gzip.open(data / "posters_mm.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if row["kim_sex"] is not None][:POSTERS]
    for number, row in enumerate(rows):
        row["split"] = "val" if number % 6 == 0 else "train"
    (tmp_path / "posters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "posters_mm.zip").symlink_to(data / "posters_mm.zip")
    return tmp_path


@pytest.mark.slow
def test_a_picture_that_teaches_two_heads_is_encoded_once(posters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = ImageEncoder.__call__

    def counted(encoder: ImageEncoder, pictures: Sequence[Any]) -> Any:
        seen.append(len(pictures))
        return real(encoder, pictures)

    monkeypatch.setattr(ImageEncoder, "__call__", counted)
    source = Source(
        file="posters.jsonl", head="image", archive="posters_mm.zip", columns=("poster",), licence="none stated"
    )
    severe = source.model_copy(update={"head": "kids_in_mind", "axes": SEVERITIES})
    settings = Training.model_validate(
        {
            "kind": "image",
            "name": "posters",
            "purpose": "For tests.",
            "network": {"width": 64, "layers": 1, "features": 8},
            "epochs": 1,
            "selection": 0.2,
            "heads": {"kids_in_mind": {"axes": list(SEVERITIES), "levels": [str(level) for level in range(11)]}},
            "sources": [source.model_dump(), severe.model_dump()],
        }
    )
    (posters / "posters.yaml").write_text(settings.model_dump_json())
    path = train(posters / "posters.yaml", posters / "run", posters)
    assert sum(seen) == POSTERS
    assert SequenceRater(path, "image").heads["kids_in_mind"].axes == ("sex", "violence", "language")
