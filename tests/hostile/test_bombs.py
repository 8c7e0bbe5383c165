"""Bombs by declared size, frames, duration, sample rate, work, nesting, ratio and members: all end soon, as errors."""

from __future__ import annotations

import bz2
import gzip
import lzma
import resource
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from capitoline.configs.settings import Limits, Settings, TextExpert
from capitoline.modalities.decoding.guard import GuardedDecoder
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.schema import UNRATED, Decoded, Item
from capitoline.pipelines import rate
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.scan import scan
from capitoline.pipelines.store import read_ratings
from tests.decoding.conftest import written
from tests.decoding.test_guard import process_of
from tests.hostile import bombs
from tests.hostile.test_fuzz import failures, peak_memory

pytestmark = pytest.mark.slow

MEMORY = 1 << 30
"""What no bomb may take; a picture of 60,000 × 60,000 pixels has 3.6 GB of grey."""
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": zstandard.ZstdCompressor().compress,
}


def decoded(files: Mapping[str, bytes], folder: Path, limits: DecodeLimits, sampling: Sampling) -> list[Decoded]:
    """Each file through the guarded decoder, which stays the same process and small."""
    items = [Item(name, files=(written(folder / name, data),)) for name, data in files.items()]
    with GuardedDecoder(replace(limits, item_seconds=30), sampling) as guard:
        guard([])
        found = guard(items[:1])
        process = process_of(guard)
        found += guard(items[1:])
        assert process_of(guard) == process, "none ended its decoder"
        assert peak_memory(guard) < MEMORY
    return found


def test_a_picture_that_declares_too_much_is_refused_from_its_header(
    tmp_path: Path, limits: DecodeLimits, sampling: Sampling
) -> None:
    for one in decoded(bombs.enormous(), tmp_path, limits, sampling):
        assert failures(one), one.item.id
        assert not one.pictures, one.item.id


def test_an_animation_of_too_many_frames_is_an_error(tmp_path: Path, limits: DecodeLimits, sampling: Sampling) -> None:
    for one in decoded(bombs.many_frames(30_000), tmp_path, limits, sampling):
        assert failures(one), one.item.id
        assert len(one.pictures) <= sampling.animation_frames


def test_absurd_durations_and_sample_rates_are_errors(tmp_path: Path, limits: DecodeLimits, sampling: Sampling) -> None:
    long, *others = decoded(bombs.endless(), tmp_path, limits, sampling)
    assert long.duration == pytest.approx(2.0), "its header lies, its track does not"
    for one in others:
        assert failures(one), one.item.id


def test_a_picture_that_takes_a_minute_is_ended_in_its_time(
    tmp_path: Path, limits: DecodeLimits, sampling: Sampling
) -> None:
    item = Item("slow", files=(written(tmp_path / "slow.jpg", bombs.slow()),))
    started = time.monotonic()
    with GuardedDecoder(replace(limits, item_seconds=2), sampling) as guard:
        (one,) = guard([item])
    assert time.monotonic() - started < 20
    assert any("took" in reason for reason in failures(one))


def test_archives_in_archives_are_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "nested.zip").write_bytes(bombs.nested(200))
    rate(str(tmp_path / "nested.zip"), tmp_path / "out", Settings(experts=(TextExpert(),)))
    (row,) = [row for table in read_ratings(tmp_path / "out") for row in table.to_pylist()]
    assert (row["rating"], row["failed"]) == (UNRATED, True)


@pytest.mark.parametrize("ending", PACKERS)
def test_a_compressed_tar_is_unpacked_no_further_than_its_limits(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"bomb.{ending}"
    path.write_bytes(PACKERS[ending](bombs.zeros(128 << 20)))
    found = list(scan([str(path)], ScanLimits(), tmp_path / "spool"))
    assert any("archive_ratio" in item.problem for item in found)
    assert sum(one.stat().st_size for one in (tmp_path / "spool").iterdir()) < 64 << 20


def test_a_packed_file_that_asks_for_gigabytes_of_window_gets_none(tmp_path: Path) -> None:
    """An xz may declare a dictionary of 4 GB, a zstd frame a window of more."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    packed = bytearray(lzma.compress(bombs.zeros(1 << 20), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    at = packed.index(b"\x21\x01") + 2
    packed[at] = 40
    start, size = 12, (packed[12] + 1) * 4
    packed[start + size - 4 : start + size] = crc(bytes(packed[start : start + size - 4]))
    (tmp_path / "a.tar.xz").write_bytes(packed)
    (tmp_path / "b.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(99))
    for name in ("a.tar.xz", "b.tar.zst"):
        assert list(scan([str(tmp_path / name)], ScanLimits(), tmp_path / "spool"))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < 500 << 20


def test_an_archive_of_too_many_members_is_rated_up_to_the_limit_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "many.zip").write_bytes(bombs.members(3_000))
    settings = Settings(experts=(TextExpert(),), limits=Limits(archive_members=100))
    summary = rate(str(tmp_path / "many.zip"), tmp_path / "out", settings)
    assert summary.items == 101
    assert summary.failed
    assert "archive_members" in " ".join(cause.reason for cause in summary.causes)


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
