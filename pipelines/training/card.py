"""The card of a weight file: what it was trained on, under which licences, how well, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capitoline.configs.training import Training
from capitoline.pipelines.evaluation.metrics import Figures
from capitoline.pipelines.units import counted

HEADINGS = ("validation rows of", "items", "QWK", "macro-F1", "accuracy", "recall by label", "down-class", "ECE")


def write_card(
    path: Path, settings: Training, metadata: Mapping[str, Any], figures: Mapping[str, Figures], rows: int
) -> None:
    """Write the card as Markdown."""
    shape = metadata["shape"]
    parts = [
        f"# {settings.name}.safetensors",
        settings.purpose,
        f"RWKV-7, {counted(shape['layers'], 'layer')} of {shape['width']} channels, "
        f"heads: {', '.join(metadata['heads'])}. "
        f"Labels, mildest first: {' < '.join(settings.labels)}. A level too mild costs {settings.down_cost:g} "
        f"times a level too severe.{_linear_half(metadata)} Trained on {rows:,} rows with seed {settings.seed} by "
        f"`capitoline train {settings.name}.yaml`; epoch and temperature were chosen on rows held out of training."
        + _origin(metadata)
        + ("" if "fold" in metadata else _teachers(settings)),
        "## Training data and licences",
        "\n".join(_source_line(source.file, source.head, source.licence) for source in settings.sources),
        "## Figures on validation rows",
        _table(figures),
        "Accuracy of a label is its recall. Down-class: share rated milder than they are / by two levels or more.",
        "## Calibration, on the rows that epoch and temperature were chosen on",
        _calibration(metadata["calibration"]),
    ]
    if settings.limits:
        parts += ["## Limits", "\n".join(f"- {limit}" for limit in settings.limits)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _linear_half(metadata: Mapping[str, Any]) -> str:
    if wide := metadata.get("wide"):
        return (
            f" Beside the trunk, a linear half reads letter and word n-grams (2^{wide['bits']} buckets) for the heads "
            f"{', '.join(wide['heads'])}; what each half weighs was fitted on the rows held out of training."
        )
    if linear := metadata.get("linear"):
        return (
            f" Beside it, a linear half reads the mean of the tokens for the head {', '.join(linear['heads'])}: "
            "what a ridge regression says of every head, and from that the rating; both halves count the same."
        )
    return ""


def _origin(metadata: Mapping[str, Any]) -> str:
    """Where training began, and what it left out."""
    said = f" It started from `{Path(metadata['start']).name}` ({metadata['tuning']})." if metadata["start"] else ""
    if "fold" in metadata:
        fold, folds = metadata["fold"]
        said += f" It never saw fold {fold} of {folds} of the training rows: the figures below are on those."
    return said


def _teachers(settings: Training) -> str:
    """Whose answers it learned beside the labels, and of which rows."""
    if settings.lessons is None:
        return ""
    said = [
        f"`{Path(one.weights).name}` about {', '.join(f'`{file}`' for file in one.files) or 'all training rows'}"
        for one in settings.lessons.teachers
    ]
    blended = ", ".join(f"`{one}`" for one in dict.fromkeys(one.file for one in settings.lessons.blends))
    blends = f" So it did of texts without labels, made of halves of two of {blended}." if blended else ""
    return f" Beside the labels it learned the answers of a teacher: {'; of another: '.join(said)}.{blends}"


def _source_line(file: str, head: str, licence: str) -> str:
    return f"- `{file}` → head `{head}`: {licence or 'licence not stated'}"


def _calibration(heads: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["| head | known levels | temperature | ECE before | ECE after |", "|---|---|---|---|---|"]
    for name, one in heads.items():
        cells = (name, str(one["rows"]), *(f"{one[key]:.3f}" for key in ("temperature", "before", "after")))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _table(figures: Mapping[str, Figures]) -> str:
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    for name, one in figures.items():
        recall = " ".join("–" if value != value else f"{value:.2f}" for value in one.recall)
        cells = [name, str(one.count), f"{one.kappa:.3f}", f"{one.macro_f1:.3f}", f"{one.accuracy:.3f}", recall]
        cells += [f"{one.down_rate:.3f} / {one.down_two_rate:.3f}", f"{one.calibration_error:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
