"""The thin lowering to Ray Data gives what the other lowerings give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capitoline.configs.settings import Settings, ThresholdsExpert
from capitoline.modalities.schema import UNRATED
from capitoline.pipelines.mapped import RateBatch

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
LIGHT = Settings(experts=(ThresholdsExpert(),))
COLUMNS: dict[str, list[Any]] = {
    "id": ["lake", "broken", "missing", "tags"],
    "tags": [["family"], None, None, ["horror", "gore"]],
    "file": [str(SAMPLES / "lake.jpg"), str(SAMPLES / "broken.jpg"), str(SAMPLES / "no.jpg"), None],
}


def test_columns_come_back_rated_in_their_order() -> None:
    rate = RateBatch(LIGHT)
    found = rate(COLUMNS)
    rate.close()
    assert found["id"] == COLUMNS["id"]
    assert found["rating"] == ["PG", UNRATED, UNRATED, "R"]
    assert found["severity"] == [0, -1, -1, 2]
    assert "No such file" in found["review"][2]


@pytest.mark.slow
def test_it_serves_a_dataset() -> None:
    import ray
    import ray.data

    from capitoline.pipelines.cluster import start_ray

    start_ray("")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    mapped = ray.data.from_items(rows).map_batches(
        RateBatch, fn_constructor_args=(LIGHT,), concurrency=1, batch_size=4, num_cpus=0.5
    )
    assert {row["id"]: row["rating"] for row in mapped.take_all()} == {
        "lake": "PG", "broken": UNRATED, "missing": UNRATED, "tags": "R"
    }  # fmt: skip
    ray.shutdown()
