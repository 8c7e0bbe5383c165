"""Whatever the bytes, a scan ends, raises nothing, and loses no sound member before the damage."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.scan import scan

NAMES = [f"d/{number:02}.{kind}" for number in range(6) for kind in ("jpg", "txt", "json")]


def _zip() -> bytes:
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.writestr(name, f'{{"prompt": "{name}"}}' * 3)
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in NAMES:
            member = tarfile.TarInfo(name if "00" not in name else f"{'long' * 50}/{name}")
            member.size = 40
            archive.addfile(member, io.BytesIO(b'{"prompt": "a fox in the snow"}'.ljust(40)))
    return out.getvalue()


ARCHIVES: dict[str, bytes] = {
    "a.zip": _zip(),
    "a.tar": _tar(),
    "a.tar.gz": gzip.compress(_tar()),
    "a.jsonl.gz": gzip.compress(b'{"id": "x", "text": "y", "tags": ["z"]}\n' * 20),
    "a.csv": b'id,text,tags\n1,"a ""fox""",x\n' * 10,
}


def items(name: str, content: bytes) -> list[Item]:
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        limits = ScanLimits(archive_members=1_000, archive_bytes=1 << 24)
        found = list(scan([str(Path(folder) / name)], limits, Path(folder) / "spool"))
    assert len({item.id for item in found}) == len(found)
    return found


@pytest.mark.parametrize("name", ARCHIVES)
@given(damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_never_break_the_scan(name: str, damage: list[tuple[float, int]]) -> None:
    raw = bytearray(ARCHIVES[name])
    for place, value in damage:
        raw[int(place * len(raw))] = value
    assert items(name, bytes(raw))


@pytest.mark.parametrize("name", ARCHIVES)
@given(cut=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_cut_is_never_silent(name: str, cut: float) -> None:
    whole = ARCHIVES[name]
    found = items(name, whole[: int(cut * (len(whole) - 1))])
    everything = {item.id for item in items(name, whole)}
    lost = everything - {item.id for item in found if not item.problem}
    assert not lost or any(item.problem for item in found) or name == "a.csv"  # rows of a text file end anywhere


@given(noise=st.binary(max_size=3_000), ending=st.sampled_from(["", ".zip", ".tar", ".tar.gz", ".jsonl", ".parquet"]))
@settings(max_examples=100, deadline=None)
def test_noise_under_any_name_is_accounted_for(noise: bytes, ending: str) -> None:
    found = items(f"noise{ending}", noise)
    assert found or (ending == ".tar" and not noise.strip(b"\0"))


def test_many_false_headers_do_not_take_for_ever() -> None:
    chance = random.Random(7)
    raw = b"".join((b"PK\x03\x04" if chance.random() < 0.5 else b"ustar") + chance.randbytes(60) for _ in range(20_000))
    start = monotonic()
    assert items("a.zip", raw) and items("a.tar", raw)
    assert monotonic() - start < 20
