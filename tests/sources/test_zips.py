"""Promises about zips."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from capitoline.modalities.decoding.reading import read_file
from capitoline.modalities.schema import Item, Storage
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.zip import zip_entries

Scan = Callable[..., dict[str, Item]]

CONTENTS = {"a.jpg": b"a" * 5_000, "d/b.jpg": bytes(range(256)) * 20, "c.png": b"", "é.jpg": b"umlaut" * 30}


class Unseekable(BytesIO):
    """A pipe: zipfile then writes sizes behind the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise OSError("a pipe")

    def tell(self) -> int:
        raise OSError("a pipe")


def zip_of(method: int = ZIP_DEFLATED, streamed: bool = False) -> bytes:
    out = Unseekable() if streamed else BytesIO()
    with ZipFile(out, "w", method) as archive:
        archive.writestr("d/", b"")
        for name, content in CONTENTS.items():
            archive.writestr(name, content)
    return out.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def contents(found: dict[str, Item]) -> dict[str, bytes]:
    return {item.files[0].name: read_file(item.files[0], 1 << 20) for item in found.values() if item.files}


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("prefix", [b"", b"MZ an unpacker" * 10])
def test_members_are_read_back_by_their_offsets(
    scanned: Scan, tmp_path: Path, method: int, streamed: bool, prefix: bytes
) -> None:
    found = scanned(write(tmp_path / "z.zip", prefix + zip_of(method, streamed)))
    assert contents(found) == CONTENTS
    assert all(item.files[0].storage is Storage.ZIP and not item.problem for item in found.values())


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_zip_without_its_directory_is_salvaged(scanned: Scan, tmp_path: Path, method: int, streamed: bool) -> None:
    whole = zip_of(method, streamed)
    path = write(tmp_path / "z.zip", whole[: whole.rindex(b"PK\x01\x02")])
    found = scanned(path)
    assert contents(found) == CONTENTS
    assert "no directory" in found.pop("z.zip").problem
    assert not any(item.problem for item in found.values())


def test_a_cut_member_is_counted_as_lost(scanned: Scan, tmp_path: Path) -> None:
    whole = zip_of(ZIP_STORED)
    found = scanned(write(tmp_path / "z.zip", whole[: whole.index(b"d/b.jpg") + 100]))
    assert not found["z.zip/a.jpg"].problem
    assert "cut off" in found["z.zip/d/b.jpg"].problem and not found["z.zip/d/b.jpg"].files


def test_a_broken_directory_falls_back_on_the_local_headers(scanned: Scan, tmp_path: Path) -> None:
    raw = bytearray(zip_of())
    raw[raw.rindex(b"PK\x01\x02")] ^= 0xFF
    found = scanned(write(tmp_path / "z.zip", bytes(raw)))
    assert contents(found) == CONTENTS and "directory is broken" in found["z.zip"].problem


def test_a_directory_that_hides_members_is_not_believed(scanned: Scan, tmp_path: Path) -> None:
    raw = bytearray(zip_of())
    first = raw.index(b"PK\x01\x02")
    comment = raw.index(b"PK\x05\x06") - raw.index(b"PK\x01\x02", first + 1)
    raw[first + 32 : first + 34] = struct.pack("<H", comment)  # the first record's comment covers all others
    found = scanned(write(tmp_path / "z.zip", bytes(raw)))
    assert contents(found) == CONTENTS and "lists 1 members of 5" in found["z.zip"].problem


def test_a_64_bit_zip_is_read(scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)  # makes zipfile write what it writes above 2 GB
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    found = scanned(write(tmp_path / "z.zip", zip_of()))
    assert contents(found) == CONTENTS and not any(item.problem for item in found.values())


def test_names_never_lead_anywhere(scanned: Scan, tmp_path: Path) -> None:
    names = ["../../etc/passwd", "/etc/passwd", "a\nb.jpg", "x" * 4096, "same.jpg", "same.jpg", "\u202egpj.exe"]
    with ZipFile(tmp_path / "z.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name in names:
            archive.writestr(name, name)
    raw = (tmp_path / "z.zip").read_bytes().replace(b"a\nb.jpg", b"\xff\0b.jpg")
    found = scanned(write(tmp_path / "z.zip", raw))
    assert len(found) == len(names)
    assert all(len(name) <= 520 for name in found)
    assert {r"z.zip/\x2e\x2e/\x2e\x2e/etc/passwd", "z.zip//etc/passwd", "z.zip/same.jpg", "z.zip/same.jpg#2",
            r"z.zip/\xe2\x80\xaegpj.exe"} < set(found)  # fmt: skip
    assert all(item.files[0].source == str(tmp_path / "z.zip") for item in found.values())


def test_encrypted_members_and_links_are_problems(scanned: Scan, tmp_path: Path) -> None:
    link = ZipInfo("link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("secret.jpg", b"x")
        archive.writestr("plain.jpg", b"x")
    raw = bytearray((tmp_path / "z.zip").read_bytes())
    raw[raw.rindex(b"secret.jpg") - 46 + 8] |= 1
    found = scanned(write(tmp_path / "z.zip", bytes(raw)))
    assert "link" in found["z.zip/link.jpg"].problem and "encrypted" in found["z.zip/secret.jpg"].problem
    assert not found["z.zip/plain.jpg"].problem


def test_a_member_that_is_a_bomb_is_its_own_problem(scanned: Scan, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "z.zip", "w", ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", b"a")
        archive.writestr("zeros.jpg", bytes(40 << 20))
    found = scanned(tmp_path / "z.zip")
    assert "archive_ratio" in found["z.zip/zeros.jpg"].problem and not found["z.zip/a.jpg"].problem
    assert len(found) == 2


def test_a_zip_is_walked_no_further_than_its_limits(scanned: Scan, tmp_path: Path) -> None:
    path = write(tmp_path / "z.zip", zip_of())
    few = scanned(path, limits=ScanLimits(archive_members=2))
    assert len(few) == 3 and "archive_members" in few["z.zip"].problem
    little = scanned(path, limits=ScanLimits(archive_bytes=7_000))
    assert len(little) == 2 and "archive_bytes" in little["z.zip"].problem


def test_members_that_overlap_are_stopped(scanned: Scan, tmp_path: Path) -> None:
    """Fifield's bombs list one block of packed bytes many times."""
    with ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a.jpg", b"a" * 5_000)
    raw = (tmp_path / "z.zip").read_bytes()
    at, end = raw.index(b"PK\x01\x02"), raw.index(b"PK\x05\x06")
    directory = raw[at:end] * 9
    closing = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, len(directory), at, 0)
    found = scanned(write(tmp_path / "z.zip", raw[:at] + directory + closing))
    assert "overlap" in found["z.zip"].problem and len(found) == 2


def test_the_corrupt_files_come_out_one_by_one(scanned: Scan, data: Path) -> None:
    found = scanned(data / "corrupt_media.zip")
    assert len(found) == 153
    with ZipFile(data / "corrupt_media.zip") as archive:
        for item in list(found.values())[::10]:
            assert read_file(item.files[0], 1 << 24) == archive.read(item.files[0].name)


def test_our_walk_equals_zipfiles(data: Path) -> None:
    with ZipFile(data / "posters_mm.zip") as archive:
        theirs = [(one.filename, one.file_size, one.header_offset) for one in archive.infolist()]
    ours = [(one.name, one.size, one.offset) for one in zip_entries(str(data / "posters_mm.zip"), ScanLimits())]
    assert ours == theirs
