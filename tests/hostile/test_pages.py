"""Nothing that an archive, a manifest or a YAML file calls itself makes a page do anything, in a real browser.

Without one the same pages are read by the standard library's parser in tests/reporting and tests/ablation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from capitoline.configs.evaluation import Mark
from capitoline.configs.settings import Settings, TextExpert
from capitoline.fusion.options import Options
from capitoline.modalities.schema import Outcome
from capitoline.pipelines import rate
from capitoline.pipelines.ablate import ablate
from capitoline.pipelines.ablation.page import page as ablation_page
from capitoline.pipelines.ablation.picture import picture as ablation_picture
from capitoline.pipelines.evaluation.axes import AxisFigures
from capitoline.pipelines.evaluation.calibration import Bin
from capitoline.pipelines.evaluation.intervals import intervals
from capitoline.pipelines.evaluation.metrics import measure
from capitoline.pipelines.evaluation.page import page as evaluation_page
from capitoline.pipelines.evaluation.result import Ordered, Result
from capitoline.pipelines.report.page import write_report
from capitoline.pipelines.report.tally import summarize
from capitoline.pipelines.training.curves import curves
from tests.ablation.conftest import drawn
from tests.ablation.test_ablate import SMALL
from tests.hostile.browser import Elements, canary, find_browser, opened
from tests.reporting.conftest import Job
from tests.reporting.test_report import thumbnail

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium here: apt-get install chromium"),
]

WORDS = "html head meta title style body header main section article nav div span p a h1 h2 h3 code footer br ul li"
TABLES = "table thead tbody tr th td dl dt dd label input img blockquote bdi details summary"
PLOTS = "svg g rect text line path circle polyline polygon tspan desc"
HTML = frozenset(f"{WORDS} {TABLES} {PLOTS}".split())
"""What our pages are made of."""
TARGET = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/=]*|#.*", re.DOTALL)
"""What an address on them may be."""


def names(address: str) -> tuple[str, ...]:
    """What an item, an expert, a label or a task may be called, and what it would do if it were believed."""
    run = "document.title='executed'"
    return (
        f"<script>{run}</script>",
        f"</style></title><script>{run};fetch('{address}/fetched')</script>",
        f'</title><img src={address}/picture onerror="{run}">',
        f"'\"><svg onload=\"{run}\"><image href='{address}/image'/></svg>",
        f'<iframe srcdoc="<script>parent.{run}</script>" src={address}/frame></iframe>',
        f"<link rel=stylesheet href={address}/style.css><base href={address}/>",
        f"<meta http-equiv=refresh content='0;url={address}/refresh'>",
        f'x" autofocus onfocus="{run}" style="background:url({address}/style)" x="',
        f"]]><![CDATA[<script>{run}</script>--><script>{run}</script><!--",
        "javascript:document.title='executed'",
        "\u202egpj.exe\u202c \u2066\u200f \x00\x1b[31m\x07\x85 \ufeff \ud800",
        "+ADw-script+AD4-document.title='executed'+ADw-/script+AD4-",
        "&lt;script&gt;&#60;b&#62;&amp;",
    )


@pytest.fixture(scope="module")
def listening() -> Iterator[tuple[str, list[str]]]:
    with canary() as server:
        yield server


Opens = Callable[[Path], Elements]


@pytest.fixture
def harmless(listening: tuple[str, list[str]], tmp_path: Path) -> Opens:
    """Opens a page and sees to it that it did nothing."""
    _, asked = listening

    def checked(page: Path) -> Elements:
        seen = opened(page, tmp_path / "profile")
        assert seen.names <= HTML, seen.names - HTML
        assert "<title>executed</title>" not in seen.html
        assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("style", "srcdoc")]
        addresses = [value for name, value in seen.attributes if name in ("src", "href", "xlink:href", "srcset")]
        assert all(TARGET.fullmatch(value) for value in addresses), addresses
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", seen.words)
        assert not asked
        return seen

    return checked


def without_policy(page: Path) -> Path:
    """The same page if its Content-Security-Policy were lost on the way."""
    html = page.read_text(encoding="utf-8")
    bare = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    assert len(bare) < len(html)
    target = page.with_name(f"bare-{page.name}")
    target.write_text(bare, encoding="utf-8")
    return target


def test_a_page_that_believed_its_names_would_be_caught(listening: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = listening
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>fine</title><body>{names(address)[1]}", encoding="utf-8")
    assert "<title>executed</title>" in opened(page, tmp_path / "profile").html
    assert "/fetched" in asked
    asked.clear()


def test_the_report_of_a_hostile_archive_does_nothing(
    listening: tuple[str, list[str]], harmless: Opens, tmp_path: Path
) -> None:
    """From the archive's members to the browser, through the whole job."""
    found = names(listening[0])
    with ZipFile(tmp_path / "media.zip", "w") as archive:
        for number, name in enumerate(found):
            archive.writestr(f"{number}{name}.txt".encode("utf-8", "replace").decode(), name.encode("utf-8", "replace"))
            archive.writestr(f"{number}{name}.png".encode("utf-8", "replace").decode(), b"\x89PNG\r\n\x1a\n broken")
    out = tmp_path / "out"
    summary = rate(str(tmp_path / "media.zip"), out, Settings(experts=(TextExpert(),)))
    assert summary.items >= len(found)
    seen = harmless(out / "report.html")
    assert "<script>document.title" in seen.words
    harmless(without_policy(out / "report.html"))


def test_a_report_of_hostile_ids_reasons_and_texts_does_nothing(
    listening: tuple[str, list[str]], harmless: Opens, tmp_path: Path
) -> None:
    job = Job(tmp_path)
    for name in (name.replace("\ud800", "") for name in names(listening[0])):
        failed = job.silent("audio", Outcome.ERROR, name)
        job.commit(job.record(name, job.rated("text", 0), job.rated("image", 4), failed, text=name, review=[name]))
    report = write_report(tmp_path, summarize(tmp_path, job.labels, 1.0, 8.0), thumbnail, title=names(listening[0])[1])
    assert "onerror" in harmless(report).words
    harmless(without_policy(report))


def test_an_evaluation_of_hostile_tasks_labels_and_axes_does_nothing(
    listening: tuple[str, list[str]], harmless: Opens, tmp_path: Path
) -> None:
    page = tmp_path / "evaluation.html"
    html = evaluation_page([one for name in names(listening[0]) for one in results(name)])
    page.write_text(html, encoding="utf-8")
    assert "<iframe" in harmless(page).words
    harmless(without_policy(page))


def test_an_ablation_of_hostile_experts_and_labels_does_nothing(
    listening: tuple[str, list[str]], harmless: Opens, tmp_path: Path
) -> None:
    found = names(listening[0])
    features = drawn(300)
    experts = tuple(replace(one, name=name) for one, name in zip(features.experts, sorted(found[:3]), strict=True))
    hostile = replace(features, experts=experts, labels=found[3:8])
    findings = replace(ablate(SMALL, hostile, Options()).findings, title=found[1])
    page = tmp_path / "ablation.html"
    page.write_text(ablation_page(findings), encoding="utf-8")
    assert "<script>document.title" in harmless(page).words
    harmless(without_policy(page))
    picture = tmp_path / "ablation.svg"
    picture.write_text(ablation_picture(findings), encoding="utf-8")
    harmless(picture)


def test_the_curves_of_hostile_heads_do_nothing(
    listening: tuple[str, list[str]], harmless: Opens, tmp_path: Path
) -> None:
    found = [name.replace("\ud800", "") for name in names(listening[0])]
    epochs: list[Mapping[str, object]] = [{"loss": 1.0, "heads": dict.fromkeys(found, loss)} for loss in (0.9, 0.5)]
    picture = tmp_path / "curves.svg"
    picture.write_text(curves(epochs), encoding="utf-8")
    assert "svg" in harmless(picture).names


def results(name: str) -> list[Result]:
    """One of a head with labels, one with axes, one without figures."""
    plain = Result(name, name, name, Mark(kappa=0.5, recall={name: 0.1}), Mark(), count=4, documents_a_second=9.0)
    truth, said = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    figures = measure(truth, said, 2)
    ordered = Ordered((name, "R"), figures, intervals(truth, said, 2, "abcd"), (Bin(4, 0.8, 0.75),), figures)
    axes = (AxisFigures(name, 4, 2, 0.5, 0.5, 0.5, float("nan")),)
    return [replace(plain, ordered=ordered), replace(plain, axes=axes), replace(plain, note=name)]
