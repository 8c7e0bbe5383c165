"""One file that kills its process does not keep the others from being rated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from capitoline.modalities.schema import UNRATED, Item
from capitoline.pipelines.store import read_ratings
from capitoline.pipelines.watching.arrivals import ARRIVAL
from capitoline.pipelines.watching.suspects import DEATHS, IN_HAND, Suspects

POISONED = """
import os, sys
from pathlib import Path
from threading import Event
from capitoline.configs.settings import Settings, TextExpert
from capitoline.pipelines.lane import Lane
from capitoline.pipelines.watch import Watched, watch

finish = Lane.finish

def deadly(lane, items, begun):
    if any("poison" in item.id for item in items):
        os.abort()  # as a library does that meets bytes it was not made for
    return finish(lane, items, begun)

Lane.finish = deadly
watch(Watched("-", Path(sys.argv[1])), Settings(experts=(TextExpert(),)), print, Event())
"""


def item(name: str) -> Item:
    return Item(name, metadata={ARRIVAL: name})


def never(token: str) -> bool:
    return False


def test_an_item_is_suspected_after_one_death_and_condemned_after_the_last(tmp_path: Path) -> None:
    for death in range(DEATHS):
        suspects = Suspects(tmp_path, never)
        assert (suspects.suspects(item("a")), suspects.condemns(item("a"))) == (death > 0, False)
        suspects.take_in_hand([item("a"), item("b")] if death == 0 else [item("a")])
    suspects = Suspects(tmp_path, never)
    assert (suspects.condemns(item("a")), suspects.suspects(item("b")), suspects.condemns(item("b"))) == (
        True,
        True,
        False,
    )


def test_what_was_rated_is_no_longer_suspected(tmp_path: Path) -> None:
    Suspects(tmp_path, never).take_in_hand([item("a")])
    assert not Suspects(tmp_path, lambda token: token == "a").suspects(item("a"))
    suspects = Suspects(tmp_path, never)
    suspects.acquit([item("a")])
    suspects.close()
    assert not (tmp_path / IN_HAND).exists()


@pytest.mark.slow
def test_the_neighbours_of_an_item_that_kills_its_process_are_rated_and_it_is_unrated(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    names = ("first", "poison", "last")
    lines.write_text("".join(f'{{"id": "{name}", "text": "A dog finds a friend by the lake."}}\n' for name in names))
    codes = []
    for _ in range(DEATHS + 1):
        with lines.open("rb") as stdin:
            command = [sys.executable, "-c", POISONED, str(tmp_path / "out")]
            codes.append(subprocess.run(command, stdin=stdin, capture_output=True, timeout=300).returncode)
    assert codes == [-6] * DEATHS + [0]
    rows = {row["item_id"]: row for table in read_ratings(tmp_path / "out") for row in table.to_pylist()}
    assert {name: row["rating"] == UNRATED for name, row in rows.items()} == {name: name == "poison" for name in names}
    assert any(f"{DEATHS} processes died" in reason for reason in rows["poison"]["review"])
