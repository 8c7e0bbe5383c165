"""`ablation.html`: one file that answers which strategy, which experts and which cost to run, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from capitoline.pipelines.ablation import on_test, on_val
from capitoline.pipelines.ablation.findings import Findings
from capitoline.pipelines.ablation.words import is_better, method, number, share, verdict
from capitoline.pipelines.report.document import anchor, document, section
from capitoline.pipelines.report.markup import Markup, element, join

SECTIONS: Mapping[str, Callable[[Findings], Markup]] = {
    "Result": on_test.result,
    "Down-class mistakes": on_test.down_class,
    "Review": on_test.review,
    "Calibration": on_test.calibration,
    "Experts": on_val.experts,
    "Cost": on_val.cost,
    "Robustness": on_val.robustness,
    "Training size": on_val.training_size,
    "All candidates": on_val.ranked,
}


def page(findings: Findings) -> str:
    """The whole document."""
    body = join(
        element("header", element("h1", findings.title), _lead(findings)),
        _verdict(findings),
        _key_figures(findings),
        element("nav", *(element("a", name, href=f"#{anchor(name)}") for name in (*SECTIONS, "Method"))),
        *(section(name, content(findings)) for name, content in SECTIONS.items()),
        section("Method", join(*(element("p", one) for one in method(findings)))),
    )
    return document(findings.title, body)


def _lead(findings: Findings) -> Markup:
    held = ", ".join(f"{one.name} {one.items:,}" for one in findings.splits.values())
    scale = " < ".join(findings.labels)
    words = f"Which strategy, which experts and which cost to run. Scale {scale}. Labelled items: {held}."
    return element("p", words, class_="faint")


def _verdict(findings: Findings) -> Markup:
    open_ = "" if is_better(findings) else " open"
    return element("section", *(element("p", one) for one in verdict(findings)), class_=f"panel verdict{open_}")


def _key_figures(findings: Findings) -> Markup:
    chosen = findings.test.rows[0]
    figures = {
        "QWK on test": number(chosen.kappa),
        "too mild on test": share(chosen.down_rate),
        "by two or more": share(chosen.figures.down_two_rate),
        "items in test": f"{findings.test.count:,}",
        "combinations": f"{len(findings.measured):,}",
        "decided in": f"{findings.wall_seconds:.0f} s",
    }
    entries = [element("div", element("dt", name), element("dd", value)) for name, value in figures.items()]
    return element("dl", *entries, class_="figures")
