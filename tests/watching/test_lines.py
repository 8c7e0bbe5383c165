"""JSON lines that arrive through a pipe."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.media import FolderMedia
from capitoline.pipelines.watching.admission import Admission
from capitoline.pipelines.watching.arrivals import ARRIVAL
from capitoline.pipelines.watching.batcher import Batcher, BatchLimits
from capitoline.pipelines.watching.ledger import Ledger
from capitoline.pipelines.watching.lines import CHUNK_BYTES, LineSource, PatientLines

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            assert end == writing  # a test may have closed it


def arrived(pipe: tuple[int, int], lines: list[Any], rated: list[tuple[str, str]] | None = None) -> list[Item]:
    reading, writing = pipe
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    os.write(writing, text.encode())
    ledger = Ledger(rated or [])
    source = LineSource(reading, Admission(ledger, Columns(), FolderMedia(str(SAMPLES))), until_idle=0.1)
    return [arrival.item for arrival in source.arrivals(Event())]


def test_a_line_that_was_rated_before_does_not_arrive_again(pipe: tuple[int, int]) -> None:
    lines = [{"id": "a", "text": "one"}, {"text": "without an id"}, {"id": "b", "tags": ["war"]}, "not JSON"]
    first = arrived(pipe, lines)
    assert [item.id for item in first if not item.id.startswith("line:")] == ["a", "b"]
    assert [bool(item.problem) for item in first] == [False, False, False, True]
    known = [(item.id, item.metadata[ARRIVAL]) for item in first]
    assert arrived(pipe, lines, known) == []
    assert arrived(pipe, list(reversed(lines[:3])), known) == []


def test_an_id_with_another_content_is_another_item(pipe: tuple[int, int]) -> None:
    found = arrived(pipe, [{"id": "a", "text": "mild"}, {"id": "a", "text": "mild"}, {"id": "a", "text": "gore"}])
    assert [(item.id, item.text) for item in found] == [("a", "mild"), ("a@2", "gore")]


def test_metadata_makes_no_other_item(pipe: tuple[int, int]) -> None:
    (item,) = arrived(pipe, [{"id": "a", "text": "mild", "sent": 1}, {"id": "a", "text": "mild", "sent": 2}])
    assert item.metadata["sent"] == "1"


def test_media_are_found_in_their_folder_and_nowhere_else(pipe: tuple[int, int]) -> None:
    found = arrived(pipe, [{"id": "a", "image": "lake.jpg"}, {"id": "b", "image": "../pyproject.toml"}])
    assert [file.name for file in found[0].files] == ["lake.jpg"]
    assert (found[1].files, "outside" in found[1].problem) == ((), True)


def test_a_line_counts_once_it_has_come_to_its_end(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b'{"id": "a"}\n{"id":')
    lines = PatientLines(reading, Event(), until_idle=0.1)
    assert lines.readline(1_000) == b'{"id": "a"}\n'
    assert lines.readline(1_000) == b""
    os.write(writing, b' "b"}\n')
    assert lines.readline(1_000) == b'{"id": "b"}\n'


def test_the_last_line_of_the_input_needs_no_end(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b"last")
    os.close(writing)
    lines = PatientLines(reading, Event(), until_idle=None)
    assert [lines.readline(1_000), lines.readline(1_000)] == [b"last", b""]


def test_a_line_without_end_is_read_in_pieces(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b"0123456789\n")
    lines = PatientLines(reading, Event(), until_idle=0.1)
    assert [lines.readline(4) for _ in range(4)] == [b"0123", b"4567", b"89\n", b""]


def test_whole_lines_that_were_read_are_given_even_when_the_watch_stops(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b"one\ntwo\nthr")
    stopping = Event()
    lines = PatientLines(reading, stopping, until_idle=None)
    assert lines.readline(1_000) == b"one\n"
    stopping.set()
    assert [lines.readline(1_000), lines.readline(1_000)] == [b"two\n", b""]


def test_a_pipe_is_not_read_further_than_what_may_wait(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    batcher = Batcher(BatchLimits(4, 1 << 20, 3_600.0, queue_items=8), Event())
    source = LineSource(reading, Admission(Ledger([]), Columns(), FolderMedia(".")), until_idle=None)
    stopping = Event()
    reader = Thread(target=lambda: [batcher.put(one) for one in source.arrivals(stopping)], daemon=True)
    reader.start()
    written = 0
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            os.write(writing, b'{"id": "%06d", "text": "%b"}\n' % (written, b"x" * 1_000))
            written += 1
        except BlockingIOError:
            time.sleep(0.05)
    pipe_bytes = 1 << 16  # what Linux keeps of a pipe by itself
    assert batcher.depth == 8
    assert written * 1_000 <= pipe_bytes + CHUNK_BYTES + 10_000
    stopping.set()
    batcher.close()
    reader.join(10)
    assert not reader.is_alive()
