"""What an ablation leaves in its folder: every combination, a summary, the page, a picture and the winner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capitoline.modalities.atomic import write_atomically
from capitoline.pipelines.ablation.findings import Findings
from capitoline.pipelines.ablation.outcomes import Measured, measured
from capitoline.pipelines.ablation.page import page
from capitoline.pipelines.ablation.picture import picture
from capitoline.pipelines.ablation.words import between, method, number, p_value, share, signed, signed_between, verdict

COMBINATIONS = pa.schema(
    [
        ("split", pa.string()),  # val; test for the finalists alone
        ("strategy", pa.string()),
        ("experts", pa.list_(pa.string())),
        ("down_cost", pa.float64()),  # null for a strategy without
        ("review_share", pa.float64()),  # that may go to a person
        ("seed", pa.int64()),
        ("condition", pa.string()),  # clean, or an expert with a (synthetic) fault
        ("items", pa.int64()),
        ("unrated", pa.float64()),  # share of the items
        ("reviewed", pa.float64()),  # share of the items that did go to a person
        ("margin", pa.float64()),  # under which they did
        ("kappa", pa.float64()),  # this and all below: of what no person looks at
        ("accuracy", pa.float64()),
        ("macro_f1", pa.float64()),
        ("down_rate", pa.float64()),
        ("down_two_rate", pa.float64()),
        ("up_rate", pa.float64()),
        ("calibration_error", pa.float64()),
        ("difference_low", pa.float64()),  # 95 % of kappa less the baseline's, mean over seeds; clean val only
        ("difference_high", pa.float64()),
        ("mcnemar_p", pa.float64()),  # against the baseline, corrected for all of these
        ("chosen", pa.bool_()),
    ]
)
"""A row for each combination."""

FIGURES = ("kappa", "accuracy", "macro_f1", "down_rate", "down_two_rate", "up_rate", "calibration_error")


def write_results(out: Path, findings: Findings) -> None:
    """`combinations.parquet`, `summary.md`, `ablation.svg` and, last, `ablation.html`."""
    out.mkdir(parents=True, exist_ok=True)
    table = combinations(findings)
    write_atomically(out / "combinations.parquet", lambda path: pq.write_table(table, path, compression="zstd"))
    for name, content in (("summary.md", summary), ("ablation.svg", picture), ("ablation.html", page)):
        write_atomically(out / name, _writing(content(findings)))


def combinations(findings: Findings) -> pa.Table:
    """Every combination on val, then the finalists on test."""
    finalists = [measured(one, "test") for row in findings.test.rows for one in row.finalist.outcomes]
    return pa.Table.from_pylist([_row(one, findings) for one in (*findings.measured, *finalists)], COMBINATIONS)


def summary(findings: Findings) -> str:
    """The answer and the report on test, as Markdown."""
    names = ("candidate", "why", "QWK", "95 %", "less the chosen", "p", "too mild", "by ≥ 2", "ECE")
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}|"
    rows = []
    for index, row in enumerate(findings.test.rows):
        compared = findings.test.between(0, index)
        less = f"{signed(-compared.kappa)}" if compared else "–"
        p = p_value(compared.kappa_interval.p) if compared else "–"
        cells = (
            row.finalist.candidate.name, row.finalist.role, number(row.kappa), between(row.kappa_interval), less, p,
            share(row.down_rate), share(row.figures.down_two_rate), number(row.figures.calibration_error),
        )  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    differences = [
        f"- {findings.test.rows[one.first].finalist.candidate.name} less "
        f"{findings.test.rows[one.second].finalist.candidate.name}: QWK {signed(one.kappa)} "
        f"({signed_between(one.kappa_interval)}, p {p_value(one.kappa_interval.p)}), McNemar p "
        f"{p_value(one.mistakes_p)} for mistakes, {p_value(one.down_p)} for down-class ones"
        for one in findings.test.comparisons
    ]
    parts = [
        f"# {findings.title}",
        "\n".join(f"- {one}" for one in verdict(findings)),
        f"## On test, {findings.test.count:,} items",
        "\n".join((head, *rows)),
        "\n".join(differences),
        "## Method",
        "\n\n".join(method(findings)),
    ]
    return "\n\n".join(parts) + "\n"


def _row(one: Measured, findings: Findings) -> dict[str, object]:
    candidate = one.combination.candidate
    clean_val = one.split == "val" and one.combination.condition.fault is None
    difference = findings.differences.get(candidate) if clean_val else None
    return {
        "split": one.split,
        "strategy": candidate.strategy,
        "experts": list(candidate.experts),
        "down_cost": candidate.down_cost or None,
        "review_share": candidate.review,
        "seed": one.combination.seed,
        "condition": one.combination.condition.name,
        "items": one.items,
        "unrated": one.unrated,
        "reviewed": one.review,
        "margin": one.margin,
        **{name: getattr(one.figures, name) for name in FIGURES},
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "mcnemar_p": difference.p if difference else None,
        "chosen": candidate == findings.chosen.candidate,
    }


def _writing(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8", newline="\n")

    return write
