"""The report shows what happened, and nothing that an archive holds can make it do anything else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from capitoline.modalities.schema import File, Outcome
from capitoline.pipelines.report.markup import Markup, element, join, text
from capitoline.pipelines.report.page import write_report
from capitoline.pipelines.report.plots import Bar, Cell, Segment, bar_chart, colours, heat_map
from capitoline.pipelines.report.tally import summarize
from tests.hostile.browser import find_browser

if TYPE_CHECKING:
    from tests.reporting.conftest import Job

BROWSER = find_browser()
HOSTILE = (
    "<script>document.title='executed'</script>",
    "</style><script>document.title='executed'</script>",
    "</title><img src=x onerror=\"document.title='executed'\">",
    '"><svg onload="document.title=\'executed\'">',
    "javascript:document.title='executed'",
    "url(https://example.org/x.png) <link rel=stylesheet href=//example.org/x.css>",
    "\u202egpj.exe\u202c שלום \x00\x1b[31m\x07",
    "&lt;script&gt;&#60;b&#62;",
)


class Page(HTMLParser):
    """What a parser, not a pattern, finds in the file."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def thumbnail(item_id: str, files: Sequence[File]) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (90, 160), (180, 60, 40)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def hostile(job: Job) -> Path:
    """The report of a job whose ids, texts, reasons and notes are all hostile."""
    broken = [job.silent("audio", Outcome.ERROR, words) for words in HOSTILE]
    job.commit(
        *(
            job.record(words, job.rated("text", 0), job.rated("image", 4), failed, text=words, review=[words])
            for words, failed in zip(HOSTILE, broken, strict=True)
        )
    )
    return write_report(job.out, summarize(job.out, job.labels, 1.0, 8.0), thumbnail)


def test_hostile_words_are_shown_and_make_no_element_or_attribute(hostile: Path) -> None:
    page = Page(hostile.read_text(encoding="utf-8"))
    assert not page.names & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert any("<script>document.title" in words for words in page.words)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", "".join(page.words))


def test_the_file_names_no_address_that_a_browser_would_fetch(hostile: Path) -> None:
    page = Page(hostile.read_text(encoding="utf-8"))
    sources = [value for name, value in page.attributes if name in {"src", "href", "srcset", "xlink:href", "data"}]
    assert sources
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in sources)
    style = hostile.read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_the_one_style_sheet_by_hash_and_no_script(hostile: Path) -> None:
    page = Page(hostile.read_text(encoding="utf-8"))
    (policy,) = [value for name, value in page.attributes if name == "content" and "default-src" in value]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "script-src" not in policy


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")
def test_a_real_browser_executes_nothing_and_applies_the_style(hostile: Path, tmp_path: Path) -> None:
    assert BROWSER is not None
    opened = subprocess.run(
        [
            BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=2000", "--window-size=900,700", "--enable-logging=stderr",
            f"--screenshot={tmp_path / 'page.png'}", "--dump-dom", hostile.as_uri(),
        ],
        capture_output=True, timeout=180, check=True,
    )  # fmt: skip
    seen = opened.stdout.decode()
    assert "<title>Capitoline report</title>" in seen
    assert "Content Security Policy" not in opened.stderr.decode()
    with Image.open(tmp_path / "page.png") as screen:
        assert screen.convert("RGB").getpixel((2, 2)) == (0xFB, 0xFB, 0xF9)  # --paper, so the hash fits


def test_every_plot_says_its_numbers_in_words(hostile: Path) -> None:
    html = hostile.read_text(encoding="utf-8")
    figures = re.findall(r'<svg [^>]*role="img".*?</svg>', html, re.DOTALL)
    assert len(figures) > 4
    assert all("<title>" in figure and "<desc>" in figure for figure in figures)


def test_pictures_are_blurred_until_their_box_is_ticked(hostile: Path) -> None:
    html = hostile.read_text(encoding="utf-8")
    assert html.count("<img ") == html.count('type="checkbox"') == len(HOSTILE)
    assert "filter: blur(" in html
    assert "checked>" not in html


def test_an_item_without_a_picture_has_no_box_to_tick(job: Job) -> None:
    job.commit(job.record("a", job.rated("text", 0), job.rated("image", 4)))
    report = write_report(job.out, summarize(job.out, job.labels, 1.0, 1.0), lambda item_id, files: None)
    assert "<img" not in report.read_text(encoding="utf-8")


def test_an_empty_job_has_a_report(job: Job) -> None:
    job.commit()
    report = write_report(job.out, summarize(job.out, job.labels, 0.0, 0.0), thumbnail)
    words = " ".join(Page(report.read_text(encoding="utf-8")).words)
    assert "0 items on the scale PG < PG13 < R < X < XXX" in words
    assert "No two experts disagreed" in words


def test_text_is_escaped_unless_it_is_markup() -> None:
    assert text("<b> & \"'") == "&lt;b&gt; &amp; &quot;&#x27;"
    assert element("p", "<b>", element("i", "x"), title='"') == '<p title="&quot;">&lt;b&gt;<i>x</i></p>'
    assert join("<", Markup("<br>")) == "&lt;<br>"
    assert element("input", checked=True, disabled=False, class_=None) == "<input checked>"


def test_bars_are_as_long_as_their_values() -> None:
    bars = [Bar(name, (Segment(name, value, "#000"),), f"{value}") for name, value in (("a", 40), ("b", 10), ("c", 0))]
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', bar_chart("t", bars))]
    assert len(widths) == 2
    assert widths[0] == pytest.approx(4 * widths[1], rel=0.01)


def test_colours_go_from_mild_to_severe_on_any_scale() -> None:
    for count in range(1, 12):
        assert len(set(colours(count))) == count
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours(count))
    assert colours(3)[::2] == colours(5)[::4] == colours(2)


def test_a_long_name_is_cut_in_a_plot_and_whole_in_its_title() -> None:
    name = "an expert with a very long name indeed"
    plot = heat_map("t", [name], [name], [[Cell("1", 1.0, "one")]])
    assert f"<title>{name}</title>" in plot
    assert f">{name}</text>" not in plot.replace(f"<title>{name}</title>", "")
