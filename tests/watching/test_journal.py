"""The output of a watch grows by whole batches, whatever ends the process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import Decoded, Evidence, Item, Modality, Outcome
from capitoline.pipelines.assembly import build_decider
from capitoline.pipelines.records import Decide, Record
from capitoline.pipelines.report.tally import summarize
from capitoline.pipelines.store import Store, read_evidence, read_ratings
from capitoline.pipelines.watching.arrivals import ARRIVAL
from capitoline.pipelines.watching.journal import PART_ITEMS, Journal


def records(ids: Sequence[int]) -> list[Record]:
    """Rated items with these ids, as the graph's last node makes them."""
    items = [Item(str(one), "a text", metadata={ARRIVAL: f"token {one}"}) for one in ids]
    evidence = [
        Evidence("text", Modality.TEXT, Outcome.RATED, probabilities=(0.0, 0.0, 1.0, 0.0, 0.0), severity=2)
        for _ in items
    ]
    return Decide(build_decider(Settings()))([Decoded(item, item.id, text=item.text) for item in items], evidence)


def ids(out: Path) -> list[int]:
    return [int(one) for table in read_ratings(out) for one in table["item_id"].to_pylist()]


def test_small_batches_share_a_part_until_it_is_large_enough(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    size = PART_ITEMS // 4 + 1
    for start in range(0, 8 * size, size):
        journal.commit(records(range(start, start + size)))
    assert [len(table) for table in read_ratings(tmp_path)] == [4 * size, 4 * size]
    assert ids(tmp_path) == list(range(8 * size))


def test_a_restart_goes_on_with_the_last_part_and_knows_what_is_there(tmp_path: Path) -> None:
    Journal(tmp_path).commit(records([0, 1]))
    again = Journal(tmp_path)
    assert list(again.rated()) == [("0", "token 0"), ("1", "token 1")]
    again.commit(records([2]))
    assert [table["item_id"].to_pylist() for table in read_ratings(tmp_path)] == [["0", "1", "2"]]


def test_evidence_whose_ratings_were_never_written_leaves_no_trace(tmp_path: Path) -> None:
    store, journal = Store(tmp_path), Journal(tmp_path)
    for shard, kept in ((0, [0]), (1, [])):
        # As after a kill between the two tables of a commit: first into a part that is there, then into a new one.
        journal.commit(records(kept)) if kept else None
        before = store.part("ratings", shard).read_bytes() if kept else None
        store.commit(shard, records([7]))
        store.part("ratings", shard).write_bytes(before) if before else store.part("ratings", shard).unlink()
    again = Journal(tmp_path)
    assert [item_id for item_id, _ in again.rated()] == ["0"]
    again.commit(records([8]))
    found = [one for table in read_evidence(tmp_path) for one in table["item_id"].to_pylist()]
    assert found == ["0", "8"]
    assert not store.part("evidence", 1).exists()
    assert summarize(tmp_path, Settings().scale, 1.0, 1.0).outcomes == {"text": {"rated": 2}}
