"""Whatever a member is called, its id is printable, of bounded length and its own, and leads nowhere."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from capitoline.modalities.schema import Item, Storage
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.names import LONGEST
from capitoline.pipelines.sources.scan import scan

LONGEST_ID = LONGEST + 10
"""With `#2` and so on behind a name that comes again."""

NAMES = {
    "climbing": b"../../../../etc/passwd",
    "climbing-windows": b"..\\..\\windows\\win.ini",
    "climbing-inside": b"a/../../b.txt",
    "absolute": b"/etc/shadow",
    "drive": b"C:\\boot.ini",
    "url": b"http://localhost:1/x.txt",
    "chained": b"simplecache::file:///etc/passwd",
    "nul": b"a.txt\0.jpg",
    "long": b"x" * 4_096,
    "long-again": b"x" * 4_095 + b"y",
    "deep": b"d/" * 2_000 + b"a.txt",
    "not-utf8": b"\xff\xfe\x80.txt",
    "right-to-left": "\u202egpj.exe.txt".encode(),
    "isolates": "\u2066\u2067\u2068\u2069.txt".encode(),
    "invisible": "a\u200b\u200d\ufeff.txt".encode(),
    "controls": b"a\r\n\t\x1b[2J\x07\x7f.txt",
    "c1": "a\x85\x9b31m.txt".encode(),
    "separators": "a\u2028b\u2029c.txt".encode(),
    "markup": b"<img src=x onerror=alert(1)>.txt",
    "quotes": b"\"'`$(id);|&.txt",
    "formula": b'=HYPERLINK("http://x").txt',
    "spaces": b"   ",
    "dot": b".",
    "escaped": rb"a\x0d\x0a\x09\x1b[2J\x07\x7f.txt",
    "twice": b"same.txt",
    "accented": "é.txt".encode(),
    "accented-apart": "e\u0301.txt".encode(),
}
"""`escaped` is what `controls` looks like once it is printable: two ids all the same."""


def zipped(path: Path) -> Path:
    """Each name once, `same.txt` twice; the bytes of the names put in afterwards, as no library would."""
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        for number, name in enumerate([*NAMES.values(), NAMES["twice"]]):
            archive.writestr(ZipInfo(f"{number:04}".ljust(len(name), "_")), b"a text")
    raw = stream.getvalue()
    for number, name in enumerate([*NAMES.values(), NAMES["twice"]]):
        raw = raw.replace(f"{number:04}".ljust(len(name), "_").encode(), name.ljust(4, b"_"))
    path.write_bytes(raw)
    return path


def tarred(path: Path) -> Path:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name in [*NAMES.values(), NAMES["twice"]]:
            member = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            member.size = 6
            archive.addfile(member, io.BytesIO(b"a text"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            link = tarfile.TarInfo(f"link-{kind.decode()}.txt")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    return path


def foldered(path: Path) -> Path:
    """As far as a file system has such names."""
    path.mkdir()
    for name in NAMES.values():
        if b"/" not in name and b"\0" not in name and len(name) < 256 and name.strip(b".") and name != b".":
            Path(path, name.decode("utf-8", "surrogateescape")).write_bytes(b"a text")
    (path / "link.txt").symlink_to("/etc/passwd")
    (path / "loop").symlink_to(path)
    return path


def items(path: Path) -> list[Item]:
    return list(scan([str(path)], ScanLimits(), path.parent / "spool"))


MAKERS: dict[str, Callable[[Path], Path]] = {"a.zip": zipped, "a.tar": tarred, "folder": foldered}


@pytest.mark.parametrize("name", MAKERS)
def test_ids_are_unique_printable_and_short(name: str, tmp_path: Path) -> None:
    ids = [item.id for item in items(MAKERS[name](tmp_path / name))]
    assert len(ids) >= 15
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert one.isprintable()
        assert len(one) <= LONGEST_ID
        assert ".." not in one.split("/")
        one.encode()


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_no_name_of_a_member_is_ever_opened(name: str, tmp_path: Path) -> None:
    archive = MAKERS[name](tmp_path / name)
    found = items(archive)
    files = [file for item in found for file in item.files]
    assert len(files) >= 20
    assert {file.source for file in files} == {str(archive)}
    assert all(file.storage is not Storage.PLAIN and file.name.isprintable() for file in files)


def test_links_and_devices_are_problems_and_nothing_is_read_through_them(tmp_path: Path) -> None:
    for path in (tarred(tmp_path / "a.tar"), foldered(tmp_path / "folder")):
        links = [item for item in items(path) if "link" in item.id]
        assert links
        assert all(item.problem and not item.files and item.text is None for item in links)


def test_a_sidecar_that_leads_away_from_a_named_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "secret.txt").write_text("a secret")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "here" / "a.txt").symlink_to(tmp_path / "away" / "secret.txt")
    (item,) = [one for one in items(tmp_path / "here" / "a.jpg") if one.files]
    assert item.text is None
    assert "link" in item.problem


def test_an_archive_whose_own_name_is_no_unicode_is_refused_in_words(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip").rename(Path(str(tmp_path) + "/\udcff.zip"))
    with pytest.raises(ValueError, match="UTF-8"):
        items(path)
