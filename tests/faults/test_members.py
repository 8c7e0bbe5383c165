"""A member that crashes, hangs or bloats its decoder is an error; its neighbours are rated as without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capitoline.modalities.schema import UNRATED
from capitoline.pipelines.store import Store
from tests.faults.corpus import Corpus
from tests.faults.jobs import ENDED, command, completed

pytestmark = pytest.mark.slow

POISON = Path(__file__).resolve().parent / "poison"
MOST_RESTRICTIVE = "XXX"
POISONED = {"item 4": b"SEGFAULT", "item 16": b"HANG....", "item 28": b"MEMORY.."}
REASONS = {
    "item 4": "the decoder was killed by signal 11 (SIGSEGV)",
    "item 16": "took longer than 10 seconds",
    "item 28": "",
}
"""Why nothing of the file could be read; empty where the decoder lived to say that the picture was too much for it."""


def test_exactly_the_members_that_ruin_their_decoder_are_errors(
    corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    whole = {item: _poison(corpus.media / f"{item.removeprefix('item ')}.png", mark) for item, mark in POISONED.items()}
    try:
        out = tmp_path / "out"
        arguments = command([corpus.manifest], out, _limited(corpus, tmp_path), "--where", "process")
        ended = completed(arguments, {"PYTHONPATH": str(POISON)})
    finally:
        for item, data in whole.items():
            (corpus.media / f"{item.removeprefix('item ')}.png").write_bytes(data)
    assert ended.code in ENDED, ended
    found, expected = _rows(out), _rows(undisturbed)
    for item, reason in REASONS.items():
        ratings, evidence = found.pop(item)
        del expected[item]
        assert ratings["rating"] in (UNRATED, MOST_RESTRICTIVE), "what the text says stands only if nothing is above it"
        assert ratings["failed"]
        assert ratings["review"]
        assert ratings["digest"], "known all the same"
        assert reason in {one["reason"] for one in evidence}
        assert bool(reason) != (ratings["undecoded"] == ["image"])
    assert found == expected


def _poison(picture: Path, mark: bytes) -> bytes:
    """Marks the picture behind its end, and returns it as it was."""
    data = picture.read_bytes()
    picture.write_bytes(data + mark)
    return data


def _limited(corpus: Corpus, folder: Path) -> Path:
    settings = json.loads(corpus.configs["fused"].read_text(encoding="utf-8"))
    settings["limits"] = {"item_seconds": 10, "decoder_memory_bytes": 1 << 30}
    path = folder / "limited.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def _rows(out: Path) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each item's rating and evidence, without seconds."""
    store = Store(out)
    found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for shard in sorted(store.committed()):
        for row in store.ratings(shard).drop_columns(["seconds"]).to_pylist():
            found[row["item_id"]] = row, []
        for row in store.evidence(shard).drop_columns(["seconds"]).to_pylist():
            found[row["item_id"]][1].append(row)
    return found
