"""Promises about the manifest file that a job resumes from."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capitoline.modalities.schema import File, Item, Storage
from capitoline.pipelines.manifest import Manifest, item_bytes, shards, write_manifest


def item(number: int, size: int = 10) -> Item:
    file = File("/a/z.zip", f"{number}.jpg", size, Storage.ZIP, 2**40 + number)
    return Item(f"i{number}", f"text {number}", ("x", "y"), (file,), {"k": "v"}, "" if number % 3 else "broken")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    odd = [Item("none"), Item("empty", "", (), (), {}), Item("é", "日本", None, (), {"": ""})]
    items = [*(item(number) for number in range(10)), *odd]
    info = write_manifest(items, tmp_path / "m.parquet", 4, 1 << 30)
    manifest = Manifest(tmp_path / "m.parquet")
    assert (info.items, info.shards) == (manifest.items, len(manifest)) == (13, 4)
    assert [one for number in range(len(manifest)) for one in manifest.shard(number)] == items
    assert list(tmp_path.iterdir()) == [tmp_path / "m.parquet"]


@given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(1, 100))
def test_shards_hold_all_items_in_order_within_their_limits(sizes: list[int], most: int, weight: int) -> None:
    items = [item(number, size) for number, size in enumerate(sizes)]
    made = list(shards(items, most, weight))
    assert [one for shard in made for one in shard] == items
    assert all(1 <= len(shard) <= most for shard in made)
    assert all(len(shard) == 1 or sum(map(item_bytes, shard)) <= weight for shard in made)


def test_the_digest_tells_any_change(tmp_path: Path) -> None:
    def digest(*items: Item) -> str:
        return write_manifest(items, tmp_path / "m.parquet", 10, 1000).digest

    one, two = item(1), item(2)
    changed = [
        replace(one, id="z"),
        replace(one, text="z"),
        replace(one, tags=("x,y",)),
        replace(one, files=()),
        replace(one, problem="z"),
    ]
    assert digest(one, two) == digest(one, two)
    assert len({digest(other, two) for other in (one, *changed)} | {digest(two, one)}) == 7


def test_a_failed_scan_leaves_no_manifest(tmp_path: Path) -> None:
    def breaking() -> Iterator[Item]:
        yield item(1)
        raise ValueError("no such column")

    with pytest.raises(ValueError, match="no such column"):
        write_manifest(breaking(), tmp_path / "m.parquet", 10, 1000)
    assert not list(tmp_path.iterdir())


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="cannot read the manifest"):
        Manifest(tmp_path / "m.parquet")


def test_memory_does_not_grow_with_the_items(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        write_manifest(map(item, range(count)), tmp_path / "m.parquet", 500, 1 << 30)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(500)
    assert peak(4_000) < 1.5 * peak(1_000)
