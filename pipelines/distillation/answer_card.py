"""The card of a data set that a teacher labelled: README.md beside it."""

from __future__ import annotations

from pathlib import Path

from capitoline.configs.answers import AnswerDistillation
from capitoline.modalities.atomic import write_atomically
from capitoline.pipelines.distillation.ledger import Prices
from capitoline.pipelines.distillation.parts import FILES
from capitoline.pipelines.distillation.provenance import Source
from capitoline.pipelines.distillation.tally import Agreement, Tally
from capitoline.pipelines.printable import one_line

REASONS = 10
"""Reasons of errors that are listed."""


def write_card(
    path: Path, settings: AnswerDistillation, source: Source, prompt: str, counted: Tally, items: int, prices: Prices
) -> None:
    """Write the card as Markdown. `prompt` is the system message; empty for an expert."""
    parts = [
        f"# {settings.name}",
        settings.purpose,
        _teacher(settings, source),
        "## Rows",
        _sizes(counted, items),
        "## Labels",
        _distribution(counted),
        "## Agreement with trusted labels",
        _agreement(settings, counted),
        "## Cost",
        _cost(settings, counted, prices),
        *(["## What the teacher was told", f"````text\n{prompt}\n````"] if prompt else []),
        "## Licence and limits",
        settings.licence or "The licence of the rows and the teacher's terms are not stated.",
        "\n".join(f"- {limit}" for limit in settings.limits),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _teacher(settings: AnswerDistillation, source: Source) -> str:
    prompt = f", prompt `{source.prompt}`" if source.prompt else ""
    return (
        f"Teacher: `{source.teacher}`, model `{source.model}`{prompt}. "
        f"Scale, mildest first: {' < '.join(settings.scale)}. These labels are a teacher's, not a person's."
    )


def _sizes(counted: Tally, items: int) -> str:
    rows = [[f"{fate} (`{name}`)", f"{counted.fates[fate]:,}"] for fate, name in FILES.items()]
    unasked = items - counted.fates.total()
    rows += [["not asked yet", f"{unasked:,}"]] if unasked else []
    parts = [_table(["", "rows"], [*rows, ["in all", f"{items:,}"]])]
    if counted.errors:
        shown = [[one_line(reason, 160).replace("|", "¦"), str(n)] for reason, n in counted.errors.most_common(REASONS)]
        parts.append(_table(["why a row is an error", "rows"], shown))
    return "\n\n".join(parts)


def _distribution(counted: Tally) -> str:
    splits = sorted({split for split, _ in counted.given})
    rows = [[label, *(f"{counted.given[split, label]:,}" for split in splits)] for label in counted.labels]
    return _table(["label", *splits], rows) if splits else "No row has a label."


def _agreement(settings: AnswerDistillation, counted: Tally) -> str:
    if not counted.first.count:
        return "No row with an answer has a trusted label."
    figures = [_figures("first answers", counted.first), _figures("labels of the data set", counted.final)]
    judged = [[judgement, f"{n:,}"] for judgement, n in counted.judgements.most_common()]
    return "\n\n".join(
        [
            f"Trusted labels: column `{settings.trusted.column}`. Where they disagree: `{settings.policy}` "
            "(arXiv:2310.03400). How good the teacher is says the first line; the second is high by construction.",
            _table(["", "rows", "accuracy", "QWK", "too mild"], figures),
            _table(["outcome", "rows"], judged),
            "First answers, by trusted label (lines) and answer (columns):",
            _confusion(counted.first, list(counted.labels)),
        ]
    )


def _figures(name: str, agreement: Agreement) -> list[str]:
    if not agreement.count:
        return [name, "0", "–", "–", "–"]
    kappa = "–" if agreement.kappa != agreement.kappa else f"{agreement.kappa:.3f}"
    return [name, f"{agreement.count:,}", f"{agreement.accuracy:.3f}", kappa, f"{agreement.down_rate:.3f}"]


def _confusion(agreement: Agreement, labels: list[str]) -> str:
    counts = agreement.matrix.tolist()
    return _table(["trusted", *labels], [[label, *map(str, line)] for label, line in zip(labels, counts, strict=True)])


def _cost(settings: AnswerDistillation, counted: Tally, prices: Prices) -> str:
    used = counted.usage
    if not used.requests:
        return "An expert here: no requests."
    budget = "" if settings.budget is None else f" of a budget of {settings.budget:g}"
    return (
        f"{used.requests:,} requests, {used.prompt_tokens:,} tokens of prompts and {used.answer_tokens:,} of answers: "
        f"{prices.cost(used):.4f} {prices.currency}{budget}, at {prices.prompt:g} and {prices.answer:g} a million."
    )


def _table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
