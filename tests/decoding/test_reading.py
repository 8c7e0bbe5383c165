"""A file's bytes arrive whole and checked, or not at all, and never more than the limit."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import fsspec
import pytest

from capitoline.modalities.decoding.limits import UndecodableError
from capitoline.modalities.decoding.reading import read_file
from capitoline.modalities.schema import File, Outcome, Storage
from tests.decoding.conftest import on_disk, written

LIMIT = 64 << 20
WORDS = b"the geese woke Rome " * 5_000


def zip_of(path: Path, **contents: bytes) -> Path:
    """Every other member deflated, the rest stored."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(contents.items()):
            archive.writestr(name, data, zipfile.ZIP_STORED if number % 2 else zipfile.ZIP_DEFLATED)
    return path


def members(path: Path, source: str = "") -> list[File]:
    with zipfile.ZipFile(path) as archive:
        return [
            File(source or str(path), one.filename, one.file_size, Storage.ZIP, one.header_offset)
            for one in archive.infolist()
        ]


def refusal(file: File, limit: int = LIMIT, ratio: float = 200.0) -> str:
    with pytest.raises(UndecodableError) as caught:
        read_file(file, limit, ratio)
    return str(caught.value)


def test_plain_tar_and_zip_give_the_same_bytes(tmp_path: Path) -> None:
    plain = written(tmp_path / "words.txt", WORDS)
    zipped = members(zip_of(tmp_path / "a.zip", deflated=WORDS, stored=WORDS))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(plain.source, "words.txt")
    with tarfile.open(tmp_path / "a.tar") as archive:
        (member,) = archive.getmembers()
    tarred = File(str(tmp_path / "a.tar"), "words.txt", member.size, Storage.TAR, member.offset_data)
    assert [read_file(file, LIMIT) for file in (plain, *zipped, tarred)] == [WORDS] * 4


def test_a_zip_written_to_a_pipe_has_its_checksums_behind_the_data(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("words.txt", WORDS)
        archive.writestr("more.txt", WORDS[:7])
    (tmp_path / "a.zip").write_bytes(pipe.getvalue())
    assert [read_file(file, LIMIT) for file in members(tmp_path / "a.zip")] == [WORDS, WORDS[:7]]


def test_an_object_store_is_read_by_url(tmp_path: Path) -> None:
    packed = zip_of(tmp_path / "a.zip", words=WORDS).read_bytes()
    fsspec.filesystem("memory").pipe_file("/bucket/a.zip", packed)
    (file,) = members(tmp_path / "a.zip", "memory://bucket/a.zip")
    assert read_file(file, LIMIT) == WORDS
    assert "nowhere" in refusal(File("memory://nowhere/a.jpg", "a.jpg", 1))
    assert "cannot be read" in refusal(File("nosuchstore://a.jpg", "a.jpg", 1))


def test_a_bomb_is_not_unpacked_further_than_its_limits(tmp_path: Path) -> None:
    (bomb,) = members(zip_of(tmp_path / "bomb.zip", zeros=bytes(64 << 20)))
    assert "200 times its packed size" in refusal(bomb, limit=2 << 30)
    modest = File(bomb.source, bomb.name, 1_000, Storage.ZIP, bomb.offset)
    assert "larger than the limit of 1,000,000 bytes" in refusal(modest, limit=1_000_000), "whatever it declares"
    assert "larger than the limit" in refusal(bomb, limit=1_000_000)


def test_damage_and_cuts_are_found(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", first=os.urandom(9_000), second=os.urandom(9_000))
    whole = path.read_bytes()
    first, second = members(path)
    path.write_bytes(whole[:5_000] + bytes([whole[5_000] ^ 1]) + whole[5_001:])
    assert "damaged" in refusal(first)
    path.write_bytes(whole[: second.offset + 5_000])
    assert "cut short" in refusal(second)
    path.write_bytes(whole[second.offset - 5 :])
    assert "no member" in refusal(first)


def test_an_encrypted_member_is_unsupported(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", secret=WORDS)
    data = bytearray(path.read_bytes())
    data[6] |= 1
    path.write_bytes(data)
    with pytest.raises(UndecodableError, match="encrypted") as caught:
        read_file(File(str(path), "secret", len(WORDS), Storage.ZIP, 0), LIMIT)
    assert caught.value.failure.outcome is Outcome.UNSUPPORTED


def test_what_is_no_readable_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(File(str(tmp_path / "pipe"), "pipe", 1))
    assert "cannot be read" in refusal(File(str(tmp_path / "missing"), "missing", 1))
    assert "not a regular file" in refusal(File(str(tmp_path), "folder", 1))
    large = written(tmp_path / "large", bytes(2_000))
    assert "larger than the limit" in refusal(large, limit=1_999)
    grown = File(large.source, large.name, 10)
    assert "larger than the limit" in refusal(grown, limit=1_999), "whatever the scan saw"
    assert read_file(on_disk(tmp_path / "large"), 2_000) == bytes(2_000)
