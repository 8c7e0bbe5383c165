"""Promises about tars and WebDataset shards."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import resource
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import zstandard

from capitoline.modalities.decoding.reading import read_file
from capitoline.modalities.schema import Item, Storage
from capitoline.pipelines.sources.entries import CROWD
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.unpacking import SpoolError

Scan = Callable[..., dict[str, Item]]
Files = Sequence[tuple[str, bytes]]


def tar_of(files: Files, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_are_read_back_by_their_offsets(scanned: Scan, tmp_path: Path, form: int) -> None:
    files = [(f"d{'eep' * (n if form == tarfile.USTAR_FORMAT else 50 * n)}/{n}.jpg", b"%d" % n * 700) for n in range(9)]
    found = scanned(write(tmp_path / "t.bin", tar_of(files, form)))
    assert sorted(item.files[0].name for item in found.values() if len(item.files[0].name) < 500) == sorted(
        name for name, _ in files if len(name) < 500
    )
    assert all(item.files[0].storage is Storage.TAR for item in found.values())
    contents = {read_file(item.files[0], 1 << 20) for item in found.values()}
    assert contents == {content for _, content in files}


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("t.tar.gz", gzip.compress),
        ("t.tar.bz2", bz2.compress),
        ("t.tar.xz", lzma.compress),
        ("t.tar.zst", lambda raw: zstandard.compress(raw[:5000]) + zstandard.compress(raw[5000:])),
        ("no-name-at-all", gzip.compress),
    ],
)
def test_a_compressed_tar_is_unpacked_once(
    scanned: Scan, tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / name, pack(tar_of([("a.jpg", b"a" * 9000), ("b.jpg", b"b")])))
    found = scanned(path)
    assert list(found) == [f"{name}/a.jpg", f"{name}/b.jpg"]
    assert read_file(found[f"{name}/a.jpg"].files[0], 1 << 20) == b"a" * 9000
    spooled = list((tmp_path / "spool").iterdir())
    times = [one.stat().st_mtime_ns for one in spooled]
    assert scanned(path) == found
    assert [one.stat().st_mtime_ns for one in tmp_path.joinpath("spool").iterdir()] == times and len(times) == 1


def test_members_with_one_basename_are_one_item(scanned: Scan, tmp_path: Path, jpeg: bytes) -> None:
    files = [
        ("0001.jpg", jpeg),
        ("0001.txt", b"a fox"),
        ("0002.wav", b"RIFF"),
        ("0001.json", b'{"tags": "fox, snow", "width": 16}'),
        ("0001.cls", b"7"),
        ("0002.txt", b"barking"),
        ("0002.png", jpeg),
        ("0003.txt", b"words"),
        ("0003.json", b'{"tags": ["t"]}'),
        ("0004.txt", b"alone"),
    ]
    found = scanned(write(tmp_path / "s.tar", tar_of(files)))
    assert list(found) == ["s.tar/0001.jpg", "s.tar/0002", "s.tar/0003", "s.tar/0004.txt"]
    first, second, third, fourth = found.values()
    assert (first.text, first.tags, first.metadata) == ("a fox", ("fox", "snow"), {"cls": "7", "width": "16"})
    assert [file.name for file in second.files] == ["0002.png", "0002.wav"] and second.text == "barking"
    assert (third.text, third.tags, third.files) == ("words", ("t",), ())
    assert fourth.text is None and len(fourth.files) == 1


@pytest.mark.parametrize(
    "media", [("x.jpg", "x.png"), ("x.mp4", "x.mp3"), ("x.cover.jpg", "x.song.mp3"), ("x.jpg", "x.wav", "x.mp3")]
)
def test_media_that_need_not_belong_together_stay_apart(scanned: Scan, tmp_path: Path, media: tuple[str, ...]) -> None:
    files = [*((name, b"?") for name in media), ("x.txt", b"said"), ("x.bin", b"?")]
    found = scanned(write(tmp_path / "t.tar", tar_of(files)))
    assert {name: item.text for name, item in found.items()} == {
        "t.tar/x.bin": None,
        **{f"t.tar/{name}": "said" for name in media},
    }


def test_dotted_names_of_an_ordinary_tar_are_no_sample(scanned: Scan, tmp_path: Path) -> None:
    files = [(f"frame.{number:04}.jpg", b"?") for number in range(2 * CROWD)] + [("frame.0001.txt", b"said")]
    found = scanned(write(tmp_path / "t.tar", tar_of(files)))
    assert len(found) == 2 * CROWD
    assert found["t.tar/frame.0001.jpg"].text == "said" and found["t.tar/frame.0002.jpg"].text is None


def test_a_cut_tar_gives_all_that_is_whole_and_says_what_is_not(scanned: Scan, tmp_path: Path) -> None:
    whole = tar_of([("a.jpg", b"a" * 600), ("b.jpg", b"b" * 600), ("c.jpg", b"c" * 600)])
    found = scanned(write(tmp_path / "t.tar", whole[: 3 * 1536 - 700]))
    assert {name: bool(item.problem) for name, item in found.items()} == {
        "t.tar": True,
        "t.tar/a.jpg": False,
        "t.tar/b.jpg": False,
        "t.tar/c.jpg": True,
    }
    between = scanned(write(tmp_path / "t.tar", whole[: 2 * 1536]))
    assert list(between) == ["t.tar", "t.tar/a.jpg", "t.tar/b.jpg"] and "end mark" in between["t.tar"].problem


def test_a_cut_gzip_gives_the_members_before_the_cut(scanned: Scan, tmp_path: Path) -> None:
    noise = bytes(hash((7, n)) & 255 for n in range(100_000))
    packed = gzip.compress(tar_of([("a.jpg", noise), ("b.jpg", noise[::-1])]))
    found = scanned(write(tmp_path / "t.tar.gz", packed[: len(packed) * 3 // 4]))
    assert not found["t.tar.gz/a.jpg"].problem and found["t.tar.gz/b.jpg"].problem
    assert "compression is broken" in found["t.tar.gz"].problem


def test_the_walk_goes_on_behind_a_broken_header(scanned: Scan, tmp_path: Path) -> None:
    raw = bytearray(tar_of([(f"{one}.jpg", b"x" * 100) for one in "abc"]))
    raw[1024 + 10] ^= 0xFF
    found = scanned(write(tmp_path / "t.tar", bytes(raw)))
    assert {"t.tar/a.jpg", "t.tar/c.jpg"} < set(found)
    assert [item.problem for item in found.values() if item.problem] == ["no readable header in 1024 bytes of the tar"]
    raw = bytearray(tar_of([(f"{one}.jpg", b"x" * 100) for one in "abc"]))
    raw[1024:1536] = bytes(512)  # a header of zeros looks like the end
    zeroed = scanned(write(tmp_path / "t.tar", bytes(raw)))
    assert "t.tar/c.jpg" in zeroed and any(item.problem for item in zeroed.values())
    joined = tar_of([("a.jpg", b"1")]) + tar_of([("b.jpg", b"2")])
    assert list(scanned(write(tmp_path / "t.tar", joined))) == ["t.tar/a.jpg", "t.tar/b.jpg"]


def test_links_and_devices_are_reported_and_never_followed(scanned: Scan, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (("link.jpg", tarfile.SYMTYPE), ("hard.jpg", tarfile.LNKTYPE), ("null", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        archive.addfile(tarfile.TarInfo("../../etc/cron.d/evil\x1b.jpg"))
        archive.addfile(tarfile.TarInfo("/abs.jpg"))
    found = scanned(write(tmp_path / "t.tar", out.getvalue()))
    assert sum(bool(item.problem) for item in found.values()) == 3
    assert r"t.tar/\x2e\x2e/\x2e\x2e/etc/cron.d/evil\x1b.jpg" in found
    assert len(found) == 5


def test_a_bomb_is_stopped_by_ratio_by_bytes_and_by_members(scanned: Scan, tmp_path: Path) -> None:
    zeros = write(tmp_path / "z.tar.gz", gzip.compress(tar_of([("a.jpg", b""), ("b.jpg", bytes(40 << 20))])))
    found = scanned(zeros)
    assert "archive_ratio" in found["z.tar.gz"].problem and found["z.tar.gz/b.jpg"].problem
    assert "archive_bytes" in scanned(zeros, limits=ScanLimits(archive_bytes=1 << 20))["z.tar.gz"].problem
    many = write(tmp_path / "m.tar", tar_of([(f"{n}.jpg", b"") for n in range(10)]))
    few = scanned(many, limits=ScanLimits(archive_members=4))
    assert len(few) == 5 and "archive_members" in few["m.tar"].problem


def test_archives_in_a_folder_are_opened_and_archives_in_archives_are_not(scanned: Scan, tmp_path: Path) -> None:
    inner = tar_of([("x.jpg", b"?")])
    (tmp_path / "f").mkdir()
    write(tmp_path / "f/shard.tar", tar_of([("a.jpg", b"?"), ("inner.tar", inner)]))
    write(tmp_path / "f/fake.zip", b"not a zip")
    write(tmp_path / "f/unnamed", inner)
    found = scanned(tmp_path / "f")
    assert list(found) == ["f/fake.zip", "f/shard.tar/a.jpg", "f/shard.tar/inner.tar", "f/unnamed"]
    assert "no directory" in found["f/fake.zip"].problem


def test_an_empty_file_with_an_archives_name_is_a_problem(scanned: Scan, tmp_path: Path) -> None:
    for name in ("a.tar", "a.tar.gz", "a.zip"):
        assert scanned(write(tmp_path / name, b""))[name].problem


def test_a_full_disk_is_the_job_s_trouble_and_not_the_archive_s(scanned: Scan, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    archive = write(tmp_path / "noise.tar.gz", gzip.compress(tar_of([("noise.bin", os.urandom(1 << 16))])))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, old[1]))
    try:
        with pytest.raises(SpoolError, match="no room"):
            scanned(archive)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
