"""Whatever the bytes: an outcome for every file, in its time and memory, and no rating where there was a failure.

`CAPITOLINE_HOSTILE_FILES` and `CAPITOLINE_HOSTILE_SEED` choose how many files and which; a mutant depends
on the seed and its number only, and its name tells the number.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from capitoline.modalities.decoding.decode import Decoder
from capitoline.modalities.decoding.guard import GuardedDecoder
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.schema import UNRATED, Decoded, File, Item, Outcome
from capitoline.pipelines.store import read_evidence, read_ratings
from tests.decoding.test_guard import process_of
from tests.hostile.conftest import FILES, SEED
from tests.hostile.corpus import CHECKED, DECLARING
from tests.hostile.mutation import Mutant, hollowed, mutants

pytestmark = pytest.mark.slow

SECONDS = 10.0
"""Of an item; a file that takes longer is an error."""
OVERHEAD = 10.0
"""For a new process after a stall, and for the digest, on a machine busy with anything else."""
MEMORY = 2 << 30
HOST_GROWTH = 300 << 20
"""What the memory of the process that asks may grow by, whatever passes."""
RATED_SHARE = 10
"""One of so many mutants goes through `capitoline rate`, with every expert."""
ARCHIVES = 8
"""Mutants of whole archives that go through it too."""


@pytest.fixture
def tight(limits: DecodeLimits) -> DecodeLimits:
    return replace(limits, item_seconds=SECONDS, decoder_memory_bytes=MEMORY)


def test_every_mutant_ends_within_its_limits_with_an_outcome(
    parents: Mapping[str, bytes], tight: DecodeLimits, sampling: Sampling, tmp_path: Path, say: Callable[[str], None]
) -> None:
    say(f"{FILES} mutants of seed {SEED}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with GuardedDecoder(tight, sampling) as guard:
        for mutant in mutants(parents, SEED, FILES):
            started, spent = time.monotonic(), guard.cpu_seconds
            assert_sound(mutant, decoded_of(mutant, guard, tmp_path))
            assert time.monotonic() - started < 2 * SECONDS + OVERHEAD, mutant.name
            assert guard.cpu_seconds - spent <= SECONDS + 1, mutant.name
            assert peak_memory(guard) <= MEMORY, mutant.name
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1_024 < HOST_GROWTH


@pytest.mark.parametrize("name", DECLARING)
def test_half_a_file_is_a_failure(
    name: str, made: Mapping[str, bytes], limits: DecodeLimits, sampling: Sampling, tmp_path: Path
) -> None:
    decode = Decoder(limits, sampling)
    assert not failures(decoded_of(Mutant(name, "none", name, made[name]), decode, tmp_path))
    half = Mutant(f"half-{name}", "half", name, made[name][: len(made[name]) // 2])
    assert failures(decoded_of(half, decode, tmp_path))


@pytest.mark.parametrize("name", CHECKED)
def test_noise_behind_a_good_header_is_a_failure(
    name: str, made: Mapping[str, bytes], limits: DecodeLimits, sampling: Sampling, tmp_path: Path
) -> None:
    hollow = Mutant(f"hollow-{name}", "hollow", name, hollowed(made[name], SEED))
    assert failures(decoded_of(hollow, Decoder(limits, sampling), tmp_path))


def test_archives_of_mutants_and_mutant_archives_are_rated_or_say_why_not(
    parents: Mapping[str, bytes], tmp_path: Path, say: Callable[[str], None]
) -> None:
    count = max(1, FILES // RATED_SHARE)
    say(f"{count} mutants of seed {SEED + 1} and {ARCHIVES} mutant archives through `capitoline rate`")
    found = list(mutants(parents, SEED + 1, count))
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "mutants.zip").write_bytes(zipped(found[::2]))
    (tmp_path / "media" / "mutants.tar").write_bytes(tarred(found[1::2]))
    for mutant in mutants({"a.zip": zipped(found[:4]), "a.tar": tarred(found[:4])}, SEED + 2, ARCHIVES):
        (tmp_path / "media" / mutant.name).write_bytes(mutant.data)
    ran = rate(tmp_path / "media", tmp_path / "out")
    assert ran.returncode == 3, ran.stderr[-2_000:]
    assert_accounted(tmp_path / "out", found)


def assert_sound(mutant: Mutant, decoded: Decoded) -> None:
    """It has a part to look at or a reason why not, and no medium became a text."""
    assert decoded.parts or decoded.unreadable, mutant.name
    assert all(reason.strip() for reason in failures(decoded)), mutant.name
    assert decoded.digest, mutant.name
    assert not (decoded.text and re.search(r"\.(jpe?g|png|gif|webp|avif|mp[34]|mkv|wav|flac|ogg)$", mutant.name))


def assert_accounted(out: Path, given: list[Mutant]) -> None:
    ratings = [row for table in read_ratings(out) for row in table.to_pylist()]
    ids = [row["item_id"] for row in ratings]
    assert len(set(ids)) == len(ids)
    assert all(one.isprintable() for one in ids)
    assert {one.name for one in given} <= {one.rpartition("/")[2] for one in ids}
    ballots = {
        row["item_id"] for table in read_evidence(out) for row in table.to_pylist() if row["outcome"] == Outcome.RATED
    }
    for row in ratings:
        assert row["rating"] == UNRATED or row["item_id"] in ballots
        assert row["rating"] in (UNRATED, "XXX") or not row["undecoded"], row["item_id"]
        assert row["rating"] != UNRATED or row["review"] or row["failed"] or row["item_id"] not in ballots


def failures(decoded: Decoded) -> list[str]:
    return [failure.reason for failure in (*decoded.failures.values(), *decoded.unreadable)]


def decoded_of(mutant: Mutant, decode: Decoder | GuardedDecoder, folder: Path) -> Decoded:
    path = folder / mutant.name
    path.write_bytes(mutant.data)
    (decoded,) = decode([Item(mutant.name, files=(File(str(path), mutant.name, len(mutant.data)),))])
    path.unlink()
    return decoded


def peak_memory(guard: GuardedDecoder) -> int:
    """Most bytes of address space that the guard's process ever had."""
    process = process_of(guard)
    status = Path(f"/proc/{process}/status")
    found = re.search(r"VmPeak:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) << 10 if found else 0


def rate(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "capitoline.pipelines.cli", "rate", str(source), "--out", str(out)]
    return subprocess.run(
        [*command, "--quiet", "--where", "process"],
        capture_output=True,
        text=True,
        timeout=60 + 10 * FILES,
        check=False,
    )


def zipped(given: list[Mutant]) -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for mutant in given:
            archive.writestr(mutant.name, mutant.data)
    return stream.getvalue()


def tarred(given: list[Mutant]) -> bytes:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for mutant in given:
            member = tarfile.TarInfo(mutant.name)
            member.size = len(mutant.data)
            archive.addfile(member, BytesIO(mutant.data))
    return stream.getvalue()
