"""Real evidence for deciders: what shipped experts say about films that none of them was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from capitoline.configs.settings import Settings, TagsExpert, TextExpert, ThresholdsExpert
from capitoline.configs.training import Source
from capitoline.modalities.feature_set import ExpertFeatures, FeatureSet
from capitoline.modalities.schema import Decoded, Evidence, Item
from capitoline.pipelines.experts import build_expert, weights_digests
from capitoline.pipelines.training.dataset import Division, Example, read_examples
from tests.deciding.arrays import expert

SETTINGS = Settings(experts=(TagsExpert(), TextExpert(), ThresholdsExpert(taggers=())))
ROWS = 120


@pytest.fixture(scope="session")
def films(data: Path) -> FeatureSet:
    """Plots and genres of validation rows, as text, tags and thresholds see them; the last has no pre-logits."""
    source = Source(file="posters_mm.jsonl.gz")
    examples = read_examples([source], data, SETTINGS.scale)
    chosen = [one for one in examples if one.division is Division.VALIDATION][:ROWS]
    items = [_item(one) for one in chosen]
    digests = weights_digests(SETTINGS)
    columns = {one.name: build_expert(one, SETTINGS)(items) for one in SETTINGS.experts}
    return FeatureSet(
        labels=SETTINGS.scale,
        items=np.array([one.item.id for one in items]),
        truth=np.array([one.severity for one in chosen]),
        splits=np.full(len(items), "val"),
        groups=np.array([str(one.row["title"]) for one in chosen]),
        experts=tuple(as_arrays(name, columns[name], digests[name]) for name in sorted(columns)),
    )


def _item(example: Example) -> Decoded:
    tags = tuple(tag.strip() for tag in str(example.row["genres"]).split(","))
    return Decoded(item=Item(example.id), digest="", text=str(example.row["text"]), tags=tags)


def as_arrays(name: str, evidence: list[Evidence], weights: str) -> ExpertFeatures:
    """What an expert said about many items."""
    rated = np.array([one.severity is not None for one in evidence])
    probabilities = np.stack([one.probabilities or _certain(one) for one in evidence]).astype(np.float32)
    width = max((len(one.features) for one in evidence if one.features is not None), default=0)
    features = [np.zeros(width) if one.features is None else one.features for one in evidence]
    return expert(name, probabilities, rated, np.stack(features).astype(np.float32), weights=weights)


def _certain(evidence: Evidence) -> npt.NDArray[np.float64]:
    return np.asarray(np.eye(len(SETTINGS.scale))[evidence.severity or 0])
