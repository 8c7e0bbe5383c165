"""One item explained: the right one, all that was kept of it, and nothing that steers a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console, RenderableType

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import Outcome, Span, Tag
from capitoline.pipelines.explain import explain
from capitoline.pipelines.fingerprint import fingerprint
from capitoline.pipelines.printable import one_line, printable
from capitoline.pipelines.records import Record
from capitoline.pipelines.report.tally import summarize
from capitoline.pipelines.table import summary_table
from capitoline.pipelines.terminal import render
from capitoline.pipelines.units import clock, duration

if TYPE_CHECKING:
    from tests.reporting.conftest import Job

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m[red]markup[/red]\u202egnp"


def finished(job: Job, *records: Record) -> Path:
    """A finished job of one item a shard, so that finding crosses shards."""
    for record in records:
        job.commit(record)
    fingerprint(Settings(), "m" * 32, len(records), len(records), {"text": "w" * 32}).write(job.out)
    return job.out


def shown(renderable: RenderableType, colour: bool = False) -> str:
    stream = StringIO()
    Console(file=stream, width=140, force_terminal=colour, color_system="standard" if colour else None).print(
        renderable
    )
    return stream.getvalue()


def test_the_whole_id_wins_over_ids_that_contain_it(job: Job) -> None:
    out = finished(job, *(job.record(name, job.rated("text", 1)) for name in ("z/a.jpg", "a.jpg", "b/a.jpg")))
    assert explain(out, "a.jpg").record.item.id == "a.jpg"


def test_a_part_of_only_one_id_is_enough(job: Job) -> None:
    out = finished(job, *(job.record(f"films.zip/{n}.mp4", job.rated("text", 1)) for n in (10, 11, 22)))
    assert explain(out, "22").record.item.id == "films.zip/22.mp4"


def test_an_ambiguous_part_is_refused_and_its_ids_are_listed(job: Job) -> None:
    out = finished(job, *(job.record(f"films.zip/{n}.mp4", job.rated("text", 1)) for n in (10, 11, 22)))
    with pytest.raises(ValueError, match=r"2 items have '/1' in their id.*'films.zip/10.mp4', 'films.zip/11.mp4'"):
        explain(out, "/1")


def test_an_unknown_id_gets_the_nearest_ones_the_most_alike_first(job: Job) -> None:
    names = ("films.zip/the-goodbye.mp4", "films.zip/alien.mp4", "films.zip/aliens.mp4")
    out = finished(job, *(job.record(name, job.rated("text", 1)) for name in names))
    with pytest.raises(ValueError, match=r"nearest are: 'films.zip/aliens.mp4', 'films.zip/alien.mp4'"):
        explain(out, "aliems.mp4")


def test_a_folder_without_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no results"):
        explain(tmp_path, "a")


def test_a_job_without_a_finished_shard_says_so(job: Job) -> None:
    with pytest.raises(ValueError, match="no finished shard"):
        explain(finished(job), "a")


def test_a_message_about_hostile_ids_steers_no_terminal(job: Job) -> None:
    out = finished(
        job, job.record(HOSTILE + "1", job.rated("text", 1)), job.record(HOSTILE + "2", job.rated("text", 1))
    )
    with pytest.raises(ValueError, match="2 items") as refusal:
        explain(out, "\x1b")
    assert str(refusal.value).isprintable()


def test_what_was_kept_is_what_was_decided(job: Job) -> None:
    spans = (Span(0.0, 0.0, "", (0.1, 0.2, 0.3, 0.3, 0.1)), Span(61.5, 64.0, "fire!"))
    kept = job.record(
        "film.mp4",
        job.rated("image", 3, spans, (Tag("nsfw", 0.75),)),
        job.silent("audio", Outcome.ABSTAINED, "no speech in 4 s"),
        text="a film",
        review=["why"],
    )
    explanation = explain(finished(job, kept), "film")
    verdict = explanation.record.verdict
    assert (verdict.rating, verdict.severity, verdict.rule) == ("X", 3, "voter:most_severe")
    assert verdict.review == ("why",)
    assert [one.outcome for one in verdict.evidence] == [Outcome.RATED, Outcome.ABSTAINED]
    assert verdict.evidence[0].spans[1] == spans[1]
    assert verdict.evidence[0].tags == (Tag("nsfw", 0.75),)
    assert explanation.record.item.files == kept.item.files
    assert explanation.record.seconds == kept.seconds
    assert explanation.labels == job.labels


def test_ballots_times_transcript_tags_and_files_are_shown(job: Job) -> None:
    frames = tuple(Span(second, second, "", (0.0, 0.1, 0.2, 0.6, 0.1)) for second in (0.0, 75.3))
    speech = (Span(3_725.0, 3_727.5, "ask not what your country can do"),)
    record = job.record(
        "film.mp4",
        job.rated("image", 3, frames, (Tag("nsfw", 0.75),)),
        job.rated("audio", 0, speech),
        job.silent("tags", Outcome.ERROR, "sidecar is not JSON"),
        review=["experts disagree from PG to X"],
    )
    words = shown(render(explain(finished(job, record), "film")))
    for expected in (
        "X  by voter:most_severe", "review: experts disagree from PG to X", "▅ 60%", "sidecar is not JSON",
        "0:00.0  X 60%", "1:15.3  X 60%", "1:02:05.0 – 1:02:07.5  ask not what your country can do", "nsfw 0.75",
        "/media/archive.tar: film.mp4 (2,048 bytes)", "2 of 9 lines were not UTF-8", "decode 10 ms", "own", "d1d1d1",
    ):  # fmt: skip
        assert expected in words


def test_a_label_that_is_not_the_likeliest_is_explained(job: Job) -> None:
    careful = replace(job.rated("text", 1), probabilities=(0.5, 0.4, 0.1, 0.0, 0.0))
    record = job.record("a.txt", careful, job.rated("image", 0))
    words = shown(render(explain(finished(job, record), "a.txt")))
    assert "text: PG13 and not PG, the likeliest, because a level too mild costs more than one too severe" in words
    assert words.count("the likeliest") == 1


def test_hostile_words_reach_the_terminal_spelt_out(job: Job) -> None:
    record = job.record(
        HOSTILE,
        job.rated("image", 3, (Span(0, 1, HOSTILE),), (Tag(HOSTILE, 0.75),)),
        job.silent("tags", Outcome.ERROR, HOSTILE),
        text=HOSTILE,
        review=[HOSTILE],
    )
    words = shown(render(explain(finished(job, record), "owned")))
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(words)
    assert words.count("[red]markup[/red]") >= 5
    assert "\\x1b]0;owned" in words


def test_the_short_table_counts_and_says_where_the_report_lies(job: Job) -> None:
    broken = job.silent("image", Outcome.ERROR, HOSTILE)
    job.commit(*(job.record(name, job.rated("text", 4)) for name in "abc"), job.record("d", broken))
    words = shown(summary_table(summarize(job.out, job.labels, 75.0, 0.05), Path("out/report.html")))
    assert re.search(r"^XXX +3 +▇+ *$", words, re.MULTILINE)
    assert re.search(r"^UNRATED +1 +▇+ *$", words, re.MULTILINE)
    assert "4 items, 3 rated, 1 unrated, 1 failed in part, 0 to review" in words
    assert "1 min 15 s" in words
    assert "out/report.html" in words
    assert not {"\x1b", "\x07"} & set(words)


def test_colours_are_of_the_severity_not_of_the_label(job: Job) -> None:
    out = finished(job, job.record("a", job.rated("text", 0)), job.record("b", job.rated("text", 4)))
    assert "\x1b[1;32mPG" in shown(render(explain(out, "a")), colour=True)
    assert "\x1b[1;35mXXX" in shown(render(explain(out, "b")), colour=True)


def test_printable_spells_out_what_steers_and_keeps_languages() -> None:
    assert printable("a\x1b[31m\x00\u202eb\u2028") == "a\\x1b[31m\\x00\\u202eb\\u2028"
    assert printable("día שלום 日本 👩\u200d🚀\n\t") == "día שלום 日本 👩\u200d🚀\n\t"
    assert one_line("a\n b\tc" + "d" * 10, 8) == "a b cdd…"


@pytest.mark.parametrize(
    ("seconds", "long", "moment"),
    [
        (0.0351, "35 ms", "0:00.0"),
        (4.24, "4.2 s", "0:04.2"),
        (59.97, "1 min 00 s", "1:00.0"),
        (200, "3 min 20 s", "3:20.0"),
        (3_599.6, "1 h 00 min", "59:59.6"),
        (7_500.4, "2 h 05 min", "2:05:00.4"),
    ],
)
def test_times_are_written_as_people_do(seconds: float, long: str, moment: str) -> None:
    assert (duration(seconds), clock(seconds)) == (long, moment)


def test_words_in_square_brackets_are_no_style(job: Job) -> None:
    broken = job.silent("[bold]image[/bold]", Outcome.ERROR, "[/] closes [nothing]")
    words = shown(render(explain(finished(job, job.record("[red]a", broken, text="[link=x]y[/link]")), "a")))
    assert {"[bold]image[/bold]", "[red]a", "[link=x]y[/link]"} <= set(words.split())
    assert "[/] closes [nothing]" in words
