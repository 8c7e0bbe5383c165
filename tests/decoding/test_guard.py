"""Whatever a file does to its decoder, that file alone is lost, with the reason, and soon."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.decoding.guard import GuardedDecoder
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.decoding.wire import (
    MAXIMUM_HEADER,
    dump_decoded,
    dump_items,
    dump_limits,
    load_decoded,
    load_items,
)
from capitoline.modalities.schema import Decoded, Item, Outcome
from tests.decoding.conftest import on_disk, written
from tests.decoding.making import film, many_scans, saved, scenery, shades, tone
from tests.decoding.test_decode import assert_accounted, corrupt_items


@pytest.fixture
def guard(limits: DecodeLimits, sampling: Sampling) -> Iterator[GuardedDecoder]:
    with GuardedDecoder(limits, sampling) as guarded:
        yield guarded


@pytest.fixture
def small(tmp_path: Path) -> Item:
    return Item("small", files=(written(tmp_path / "small.png", saved(scenery(64, 48), "PNG")),))


@pytest.fixture
def slow(tmp_path: Path) -> Item:
    """An animation of large frames, many seconds' work: one frame's bytes, again and again."""
    one = saved(Image.fromarray(np.random.default_rng(0).integers(0, 4, (2_000, 2_000), np.uint8) * 80), "GIF")
    start = one.index(b"\x2c\0\0\0\0")
    return Item("slow", files=(written(tmp_path / "slow.gif", one[:start] + one[start:-1] * 30 + b";"),))


def process_of(guard: GuardedDecoder) -> int | None:
    return guard._process.pid if guard._process else None


def alive(process: int) -> bool:
    """Whether it still runs; a zombie does not."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def assert_equal(one: Decoded, other: Decoded) -> None:
    assert (one.digest, one.text, one.tags, one.duration) == (other.digest, other.text, other.tags, other.duration)
    assert (one.failures, one.unreadable, one.notes) == (other.failures, other.unreadable, other.notes)
    for mine, yours in zip((*one.pictures, *one.film), (*other.pictures, *other.film), strict=True):
        assert mine.seconds == yours.seconds
        assert np.array_equal(mine.pixels, yours.pixels)
    assert (one.sound is None) == (other.sound is None)
    assert one.sound is None or (other.sound is not None and np.array_equal(one.sound, other.sound))


def test_the_guarded_decoder_gives_what_the_decoder_gives(
    data: Path, guard: GuardedDecoder, limits: DecodeLimits, sampling: Sampling
) -> None:
    clips = [Item(path.name, "a\ud800b", ("t",), (on_disk(path),)) for path in (data / "video_clips").glob("tc_*")]
    for mine, yours in zip(guard(clips), Decoder(limits, sampling)(clips), strict=True):
        assert mine.item is yours.item
        assert_equal(mine, yours)
    assert guard.cpu_seconds > 0


def test_every_hostile_file_is_accounted_for_under_guard(data: Path, guard: GuardedDecoder) -> None:
    items = corrupt_items(data)
    started = time.monotonic()
    for item, decoded in zip(items, guard(items), strict=True):
        assert decoded.item is item
        assert_accounted(decoded)
    assert time.monotonic() - started < 60


def test_an_item_that_takes_too_long_is_lost_alone(
    limits: DecodeLimits, sampling: Sampling, small: Item, slow: Item
) -> None:
    with GuardedDecoder(replace(limits, item_seconds=0.5), sampling) as guard:
        before, culprit, after = guard([small, slow, small])
    assert before.pictures
    assert after.pictures
    assert culprit.unreadable[0].outcome is Outcome.ERROR
    assert culprit.unreadable[0].reason == "took longer than 0.5 seconds"
    assert culprit.digest == Decoder(limits, sampling).digest(slow).digest, "known all the same"


@pytest.mark.parametrize("characters", [0, 1_000_000])
def test_a_decoder_that_stalls_is_replaced(
    characters: int, limits: DecodeLimits, sampling: Sampling, small: Item
) -> None:
    with GuardedDecoder(replace(limits, item_seconds=1.0), sampling) as guard:
        guard([small])
        stopped = process_of(guard)
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        culprit, after = guard([replace(small, text="x" * characters), small])
        assert culprit.unreadable
        assert after.pictures
        assert not alive(stopped)


def test_closing_does_not_wait_for_a_batch_in_progress(limits: DecodeLimits, sampling: Sampling, slow: Item) -> None:
    with GuardedDecoder(limits, sampling) as guard:
        guard([])
        batch = guard.submit([slow])
        while process_of(guard) is None:
            time.sleep(0.01)
        time.sleep(0.5)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert batch.exception() is not None


def test_a_decoder_killed_by_accident_costs_no_item(guard: GuardedDecoder, small: Item) -> None:
    guard([small])
    victim = process_of(guard)
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    assert all(decoded.pictures for decoded in guard([small, small]))


def test_an_item_that_kills_its_decoder_twice_is_lost_alone(guard: GuardedDecoder, small: Item, slow: Item) -> None:
    def kill_whoever_takes_long(times: int) -> None:
        for _ in range(times):
            victim, since = process_of(guard), time.monotonic()
            while victim is None or time.monotonic() - since < 0.8:
                time.sleep(0.05)
                if process_of(guard) != victim:
                    victim, since = process_of(guard), time.monotonic()
            os.kill(victim, signal.SIGSEGV)
            while process_of(guard) == victim:
                time.sleep(0.05)

    guard([small])
    killer = threading.Thread(target=kill_whoever_takes_long, args=(2,))
    killer.start()
    before, culprit, after = guard([small, slow, small])
    killer.join()
    assert before.pictures
    assert after.pictures
    assert culprit.unreadable[0].reason == "the decoder was killed by signal 11 (SIGSEGV)"


def test_an_item_that_needs_too_much_memory_is_lost_alone(
    limits: DecodeLimits, sampling: Sampling, small: Item, tmp_path: Path
) -> None:
    large = Item("large", files=(written(tmp_path / "l.png", saved(Image.new("RGB", (7_900, 7_900)), "PNG")),))
    with GuardedDecoder(replace(limits, decoder_memory_bytes=300 << 20), sampling) as guard:
        before, culprit, after = guard([small, large, small])
    assert before.pictures
    assert after.pictures
    reasons = [failure.reason for failure in (*culprit.failures.values(), *culprit.unreadable)]
    assert reasons == ["out of memory"]


def test_a_decoder_whose_guard_is_gone_is_ended_by_the_kernel(
    limits: DecodeLimits, sampling: Sampling, tmp_path: Path
) -> None:
    endless = Item("endless", files=(written(tmp_path / "endless.jpg", many_scans(1_000)),))
    lines = dump_limits(replace(limits, item_seconds=1.0), sampling) + dump_items([endless])
    command = [sys.executable, "-m", "capitoline.modalities.decoding.decoder_process"]
    ran = subprocess.run(command, input=lines, stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert -ran.returncode in (signal.SIGXCPU, signal.SIGALRM), "whichever comes first on a busy machine"


def test_too_much_cpu_is_said_and_not_tried_again(
    limits: DecodeLimits, sampling: Sampling, small: Item, slow: Item
) -> None:
    with GuardedDecoder(limits, sampling) as guard:
        guard([small])
        process = process_of(guard)
        assert process is not None
        batch = guard.submit([slow, small])
        while "unlimited" in cpu_limit(process):  # it is set for the time of each item
            time.sleep(0.01)
        os.kill(process, signal.SIGXCPU)
        culprit, after = batch.result()
    assert culprit.unreadable[0].reason == "took more than 60 seconds of CPU"
    assert after.pictures


def cpu_limit(process: int) -> str:
    lines = Path(f"/proc/{process}/limits").read_text().splitlines()
    return next(line.removeprefix("Max cpu time").split()[0] for line in lines if line.startswith("Max cpu time"))


def test_a_batch_is_decoded_while_the_caller_does_something_else(guard: GuardedDecoder, small: Item) -> None:
    first, second = guard.submit([small] * 3), guard.submit([small])
    deadline = time.monotonic() + 20
    while not second.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert second.done()
    assert [len(first.result()), len(second.result())] == [3, 1]


def test_closing_leaves_no_process_behind(limits: DecodeLimits, sampling: Sampling, small: Item) -> None:
    with GuardedDecoder(limits, sampling) as guard:
        guard([small])
        process = process_of(guard)
    assert process is not None
    assert not Path(f"/proc/{process}").exists(), "not even a zombie"


def test_the_decoder_ends_with_its_parent(small: Item, limits: DecodeLimits, sampling: Sampling) -> None:
    program = (
        "import os, sys\n"
        "from capitoline.modalities.decoding.guard import GuardedDecoder\n"
        "from capitoline.modalities.decoding.wire import load_items, load_limits\n"
        "guard = GuardedDecoder(*load_limits(sys.stdin.buffer.readline()))\n"
        "guard(load_items(sys.stdin.buffer.readline())[0])\n"
        "print(guard._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    lines = dump_limits(limits, sampling) + dump_items([small])
    ran = subprocess.run([sys.executable, "-c", program], input=lines, capture_output=True, timeout=60, check=False)
    process, deadline = int(ran.stdout), time.monotonic() + 10
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(process)


def test_a_decoder_that_cannot_start_is_the_machines_fault_and_no_items(
    limits: DecodeLimits, sampling: Sampling, small: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with GuardedDecoder(limits, sampling) as guard, pytest.raises(RuntimeError, match="cannot start"):
        guard([small])


def test_neither_side_of_the_guard_needs_torch_and_the_near_side_no_decoder() -> None:
    program = (
        "import sys, capitoline.modalities.decoding.guard\n"
        "assert not {'torch', 'av', 'PIL'} & sys.modules.keys()\n"
        "import capitoline.modalities.decoding.decoder_process\n"
        "assert not {'torch', 'av', 'ray'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_items_and_decoded_items_survive_the_wire(data: Path, limits: DecodeLimits, sampling: Sampling) -> None:
    items = corrupt_items(data)[:40]
    assert load_items(dump_items(items)) == (items, False)
    for decoded in Decoder(limits, sampling)(items):
        sent = io.BytesIO(b"".join(dump_decoded(decoded, 1.5)))
        received, seconds = load_decoded(decoded.item, sent.read)
        assert_equal(received, decoded)
        assert seconds == 1.5


def test_an_answer_of_impossible_size_is_refused(tmp_path: Path, limits: DecodeLimits, sampling: Sampling) -> None:
    item = Item("a", files=(written(tmp_path / "a.mkv", film(shades(3), tone(0.1))),))
    length, header, *_ = dump_decoded(Decoder(limits, sampling).decode(item), 0.0)
    with pytest.raises(ValueError, match="header"):
        load_decoded(item, io.BytesIO((MAXIMUM_HEADER + 1).to_bytes(4, "little")).read)
    huge = bytes(header).replace(b"[64, 96, 3]", b"[64000000, 96, 3]")
    with pytest.raises(ValueError, match="impossible"):
        load_decoded(item, io.BytesIO(len(huge).to_bytes(4, "little") + huge).read)
    assert len(length) == 4
