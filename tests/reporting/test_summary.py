"""The summary says exactly what the tables hold, counted one part at a time."""

from __future__ import annotations

import json
import tracemalloc
from io import StringIO
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from capitoline.modalities.schema import UNRATED, Outcome
from capitoline.pipelines.records import Record
from capitoline.pipelines.report.causes import COUNTED, LISTED, OTHERS, Reasons, gist
from capitoline.pipelines.report.contest import KEPT, spreads
from capitoline.pipelines.report.summary import Summary, write_summary
from capitoline.pipelines.report.tally import summarize
from capitoline.pipelines.table import summary_table

if TYPE_CHECKING:
    from tests.reporting.conftest import Job


def summary_of(job: Job) -> Summary:
    return summarize(job.out, job.labels, wall_seconds=2.0, items_per_second=1.5)


def test_every_item_is_counted_once_and_the_unrated_apart(job: Job) -> None:
    job.commit(job.record("a", job.rated("text", 0)), job.record("b", job.rated("image", 4), job.rated("text", 4)))
    job.commit(job.record("c", job.silent("image", Outcome.ERROR, "truncated")))
    summary = summary_of(job)
    assert (summary.items, summary.rated, summary.unrated, summary.failed) == (3, 2, 1, 1)
    assert summary.by_rating == {"PG": 1, "PG13": 0, "R": 0, "X": 0, "XXX": 1, UNRATED: 1}
    assert list(summary.by_modality) == ["text", "image"]
    assert summary.by_modality["image"] == {"PG": 0, "PG13": 0, "R": 0, "X": 0, "XXX": 1, UNRATED: 1}
    assert summary.outcomes == {"text": {"rated": 2}, "image": {"rated": 1, "error": 1}}
    assert (summary.wall_seconds, summary.items_per_second) == (2.0, 1.5)


def test_one_item_is_not_told_as_items(job: Job) -> None:
    job.commit(job.record("a", job.rated("text", 0)))
    printed = StringIO()
    Console(file=printed, width=100).print(summary_table(summary_of(job), None))
    assert "1 item, 1 rated" in printed.getvalue()


def test_an_empty_job_has_a_summary(job: Job) -> None:
    job.commit()
    summary = summary_of(job)
    assert (summary.items, summary.contested, summary.causes, summary.agreement) == (0, (), (), ())


def test_seconds_add_up_by_stage_the_dearest_first(job: Job) -> None:
    for name in "abc":
        job.commit(job.record(name, job.rated("image", 1)))
    assert summary_of(job).cpu_seconds == pytest.approx({"image": 0.06, "decode": 0.03})
    assert list(summary_of(job).cpu_seconds) == ["image", "decode"]


def test_agreement_counts_only_items_that_both_rated(job: Job) -> None:
    silent = job.silent("image", Outcome.ABSTAINED, "cannot tell")
    job.commit(
        job.record("equal", job.rated("text", 2), job.rated("image", 2)),
        job.record("three apart", job.rated("text", 1), job.rated("image", 4)),
    )
    job.commit(job.record("alone", job.rated("text", 3), silent))
    (pair,) = summary_of(job).agreement
    assert (pair.first, pair.second, pair.both, pair.equal, pair.difference) == ("image", "text", 2, 0.5, 1.5)
    assert pair.counts[4][1] == pair.counts[2][2] == 1
    assert np.sum(pair.counts) == 2


def test_experts_in_another_order_in_another_shard_are_the_same_pair(job: Job) -> None:
    job.commit(job.record("a", job.rated("text", 0), job.rated("image", 1)))
    job.commit(job.record("b", job.rated("image", 1), job.rated("text", 0)))
    (pair,) = summary_of(job).agreement
    assert pair.counts[1][0] == 2


def test_the_widest_spread_is_the_most_contested_then_failures(job: Job) -> None:
    broken = job.silent("audio", Outcome.ERROR, "no such codec")
    job.commit(
        job.record("agreed", job.rated("text", 1), job.rated("image", 1)),
        job.record("one apart", job.rated("text", 1), job.rated("image", 2)),
        job.record("one apart and broken", job.rated("text", 1), job.rated("image", 2), broken),
    )
    job.commit(job.record("four apart", job.rated("text", 0), job.rated("image", 4)))
    contested = summary_of(job).contested
    assert [item.item_id for item in contested] == ["four apart", "one apart and broken", "one apart"]
    assert [item.spread for item in contested] == [4, 1, 1]
    assert [ballot.severity for ballot in contested[1].ballots] == [1, 2, None]
    assert contested[0].files[0].source == "/media/archive.tar"


def test_only_the_most_contested_are_kept_and_of_equals_the_earlier(job: Job) -> None:
    for shard in range(3):
        job.commit(*(job.record(f"{shard}-{n:02d}", job.rated("text", 0), job.rated("image", 1)) for n in range(KEPT)))
    job.commit(job.record("last and worst", job.rated("text", 0), job.rated("image", 3)))
    kept = [item.item_id for item in summary_of(job).contested]
    assert kept == ["last and worst", *(f"0-{n:02d}" for n in range(KEPT - 1))]


def test_spread_equals_its_definition_for_all_ballots_of_three_experts() -> None:
    casts = list(product(range(-1, 4), repeat=3))
    wanted = [max(cast) - min(b for b in cast if b >= 0) if max(cast) >= 0 else 0 for cast in casts]
    assert spreads(np.array(casts, dtype=np.int8)).tolist() == wanted


def test_failures_that_differ_in_particulars_are_one_cause(job: Job) -> None:
    job.commit(
        job.record("a", job.silent("image", Outcome.ERROR, "/tmp/a.jpg: 62 bytes short of '9 kB'")),
        job.record("b", job.silent("image", Outcome.ERROR, "/tmp/b.jpg: 7 bytes short of '2 kB'")),
        job.record("c", job.silent("image", Outcome.UNSUPPORTED, "no reader for Flash")),
    )
    first, second = summary_of(job).causes
    assert (first.reason, first.items, first.examples) == ("…: … bytes short of …", 2, ("a", "b"))
    assert (second.outcome, second.reason) == ("unsupported", "no reader for Flash")


def test_a_cause_that_is_the_same_for_all_its_items_keeps_its_line_number(job: Job) -> None:
    reason = "line 17 has 3 columns where the header has 4"
    job.commit(*(job.record(name, job.silent("graph", Outcome.ERROR, reason)) for name in "ab"))
    (cause,) = summary_of(job).causes
    assert (cause.reason, cause.items) == (reason, 2)
    job.commit(job.record("c", job.silent("graph", Outcome.ERROR, reason.replace("17", "18"))))
    (cause,) = summary_of(job).causes
    assert (cause.reason, cause.items) == ("line … has … columns where the header has …", 3)


def test_an_item_whose_experts_fail_alike_is_one_failure(job: Job) -> None:
    job.commit(*[job.record("a", *(job.silent(e, Outcome.ERROR, "truncated") for e in ("image", "tags")))])
    (cause,) = summary_of(job).causes
    assert (cause.items, cause.experts) == (1, ("image", "tags"))


def test_causes_beyond_the_list_are_still_counted(job: Job) -> None:
    reasons = ["x" * (n + 1) for n in range(LISTED + 7)]
    job.commit(*(job.record(reason, job.silent("image", Outcome.ERROR, reason)) for reason in reasons))
    summary = summary_of(job)
    assert (len(summary.causes), summary.causes_left_out) == (LISTED, 7)


def test_hostile_reasons_cannot_fill_the_memory() -> None:
    reasons = Reasons()
    for n in range(COUNTED + 500):
        reasons.add(f"item {n}", ["x" * (n % 50 + 1) + "y" * (n // 50)])
    listed = reasons.listed()
    assert len(listed) == LISTED + 1
    assert sum(listed.values()) == COUNTED + 500
    assert listed[OTHERS] == COUNTED + 500 - LISTED


def test_the_first_items_of_a_reason_are_named() -> None:
    reasons = Reasons()
    for n in range(5):
        reasons.add(f"item {n}", [f"{n} bytes short"])
    assert (reasons.listed(), reasons.examples()) == (
        {"… bytes short": 5},
        {"… bytes short": ("item 0", "item 1", "item 2")},
    )


def test_a_gist_keeps_the_words_that_say_what_happened() -> None:
    assert gist("image/png of 50,000 × 50,000 pixels is over 64000000") == "image/png of … × … pixels is over …"
    assert gist("experts disagree from PG13 to X") == "experts disagree from PG13 to X"
    assert gist("killed by signal 9 at 0x7ffe12") == "killed by signal … at …"


def test_a_ballot_above_the_scale_is_refused(job: Job) -> None:
    job.commit(job.record("a", job.rated("text", 4), job.rated("image", 4)))
    with pytest.raises(ValueError, match="above the scale of 3 labels"):
        summarize(job.out, ("safe", "controversial", "unsafe"), 1.0, 1.0)


def test_evidence_of_another_job_is_refused(job: Job) -> None:
    job.commit(job.record("a", job.rated("text", 4)))
    (job.out / "ratings/part-000000.parquet").rename(job.out / "kept")
    job.commit(job.record("b", job.rated("text", 4)))
    (job.out / "ratings/part-000001.parquet").rename(job.out / "ratings/part-000000.parquet")
    with pytest.raises(ValueError, match="mixes jobs"):
        summary_of(job)


def test_summary_json_is_the_summary(job: Job) -> None:
    job.commit(job.record("«ü»\u202e", job.rated("text", 0), job.rated("image", 3), text="día"))
    summary = summary_of(job)
    read = json.loads(write_summary(job.out, summary).read_text(encoding="utf-8"))
    assert read["contested"][0]["item_id"] == "«ü»\u202e"
    assert read["by_rating"] == dict(summary.by_rating)
    assert not list(job.out.glob(".*.tmp"))


@pytest.mark.slow
def test_memory_is_that_of_one_part(job: Job) -> None:
    def shard(number: int) -> list[Record]:
        return [
            job.record(f"{number}/{n}", job.rated("text", n % 5), job.rated("image", 1), review=(f"why {n}",))
            for n in range(1_000)
        ]

    def peak() -> int:
        tracemalloc.start()
        summary_of(job)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    for number in range(2):
        job.commit(*shard(number))
    peak()  # imports
    few = peak()
    for number in range(2, 20):
        job.commit(*shard(number))
    assert peak() < 1.3 * few
