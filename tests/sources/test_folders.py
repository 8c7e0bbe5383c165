"""Promises about folders and the files in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from capitoline.modalities.schema import Item, Storage
from capitoline.pipelines.sources.entries import CROWD
from capitoline.pipelines.sources.limits import ScanLimits
from capitoline.pipelines.sources.scan import scan

Scan = Callable[..., dict[str, Item]]


def write(folder: Path, **files: bytes | str) -> Path:
    """Writes files named by keywords, in which `__` stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_every_file_is_an_item_named_from_the_given_folder_on(scanned: Scan, tmp_path: Path, jpeg: bytes) -> None:
    write(tmp_path / "a" / "deep", x__jpg=jpeg)
    write(tmp_path / "b", x__jpg=jpeg, note__txt="hello")
    found = scanned(tmp_path / "a", tmp_path / "b")
    assert list(found) == ["a/deep/x.jpg", "b/note.txt", "b/x.jpg"]
    file = found["a/deep/x.jpg"].files[0]
    assert (file.source, file.size, file.storage) == (str(tmp_path / "a/deep/x.jpg"), len(jpeg), Storage.PLAIN)


def test_paths_of_one_name_keep_their_items_apart(scanned: Scan, tmp_path: Path, jpeg: bytes) -> None:
    for parent in ("one", "two"):
        write(tmp_path / parent / "same", x__jpg=jpeg)
    found = scanned(tmp_path / "one/same", tmp_path / "two/same")
    assert list(found) == ["same/x.jpg", "same/x.jpg#2"]
    assert found["same/x.jpg"].files != found["same/x.jpg#2"].files


def test_the_order_does_not_depend_on_the_order_of_creation(scanned: Scan, tmp_path: Path) -> None:
    names = [f"f{number}.txt" for number in range(30)]
    for folder, order in (("x", names), ("y", names[::-1])):
        (tmp_path / folder / "d").mkdir(parents=True)
        for name in order:
            (tmp_path / folder / "d" / name).write_text(name)
    assert [one[1:] for one in scanned(tmp_path / "x")] == [one[1:] for one in scanned(tmp_path / "y")]


def test_hidden_files_are_left_out(scanned: Scan, tmp_path: Path, jpeg: bytes) -> None:
    folder = write(tmp_path / "f", x__jpg=jpeg)
    write(folder / "__MACOSX", x__jpg=jpeg)
    write(folder / ".git", x__jpg=jpeg)
    (folder / ".DS_Store").write_bytes(b"x")
    assert list(scanned(folder)) == ["f/x.jpg"]


def test_a_link_that_leaves_the_folder_is_not_followed_and_is_reported(
    scanned: Scan, tmp_path: Path, jpeg: bytes
) -> None:
    write(tmp_path / "secret", key__txt="password")
    folder = write(tmp_path / "f", x__jpg=jpeg)
    (folder / "out.txt").symlink_to(tmp_path / "secret/key.txt")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "in.jpg").symlink_to("x.jpg")
    (folder / "loop").symlink_to(folder)
    found = scanned(folder)
    assert {name: bool(item.problem) for name, item in found.items()} == {
        "f/in.jpg": False,
        "f/out": True,
        "f/out.txt": True,
        "f/x.jpg": False,
    }
    assert not any("secret" in file.source for item in found.values() for file in item.files)


def test_a_folder_that_cannot_be_read_is_an_item_with_a_problem(scanned: Scan, tmp_path: Path, jpeg: bytes) -> None:
    folder = write(tmp_path / "f", x__jpg=jpeg)
    here = Path.cwd()
    try:  # a path beyond PATH_MAX, which not even root can list
        os.chdir(folder)
        for _ in range(22):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    found = scanned(folder)
    assert [item.problem for item in found.values() if item.problem] == [
        "the folder cannot be read: File name too long"
    ]
    assert not found["f/x.jpg"].problem


def test_what_is_no_file_is_an_item_with_a_problem(scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    os.mkfifo(tmp_path / "f" / "pipe")
    (tmp_path / "f" / "dangling").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(tmp_path / "f") + b"/latin\xe9.jpg")).write_bytes(b"x")
    assert all(item.problem and not item.files for item in scanned(tmp_path / "f").values())
    assert len(scanned(tmp_path / "f")) == 3
    assert scanned(tmp_path / "f" / "pipe")["pipe"].problem


def test_a_path_that_is_not_there_is_the_users_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no"):
        scan([str(tmp_path / "nothing")], ScanLimits(), tmp_path)


def test_a_crowd_of_files_with_one_stem_is_not_gathered(scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for number in range(3 * CROWD):
        (tmp_path / "f" / f"same.{number:03}").write_bytes(b"x")
    assert len(scanned(tmp_path / "f")) == 3 * CROWD


def test_the_folders_of_clips_come_out_file_by_file(scanned: Scan, data: Path) -> None:
    folders = [data / name for name in ("video_clips", "speech_clips", "esc10_sounds")]
    found = scanned(*folders)
    assert len(found) == sum(len(list(folder.iterdir())) for folder in folders)
    assert not any(item.problem for item in found.values())
    assert found["speech_clips/SOURCE.txt"].text is None  # the decoder reads it
