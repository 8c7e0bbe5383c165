"""The card of a trunk: whose pupil it is, what it read, under which licences, and how well it understood."""

from __future__ import annotations

from pathlib import Path

from capitoline.configs.distillation import FeatureDistillation
from capitoline.pipelines.units import counted


def write_card(path: Path, settings: FeatureDistillation, passages: int, tokens: int, agreement: float) -> None:
    """Write the card as Markdown; `agreement` is the mean cosine with the teacher on passages held out."""
    sizes = settings.network
    parts = [
        f"# {settings.name}.safetensors",
        settings.purpose,
        f"RWKV-7, {counted(sizes.layers, 'layer')} of {sizes.width} channels, {tokens:,} tokens, without heads. "
        f"Distilled from `{settings.teacher.removeprefix('wheel:')}` on {passages:,} passages in "
        f"{counted(settings.epochs, 'epoch')}, in {settings.arithmetic}, with seed {settings.seed} by "
        f"`capitoline distil features {settings.name}.yaml`; the embedding began as the principal "
        f"components of the teacher's vectors of single tokens. Mean cosine with the teacher on passages held out: "
        f"**{agreement:.3f}**. No label was read, and no row of the split `val`.",
        "## Texts and licences",
        "\n".join(f"- `{one.file}`: {one.licence or 'licence not stated'}" for one in settings.texts),
    ]
    if settings.limits:
        parts += ["## Limits", "\n".join(f"- {limit}" for limit in settings.limits)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
