"""The configuration of features built from a labelled file: the experts are trained in folds, then asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capitoline.configs.settings import Strict

TrainedKind = Literal["text", "tags", "image"]
"""Kinds of experts whose weights a training in folds can make."""


class FeatureBuild(Strict):
    """A labelled file, how it is divided, and the experts that learn from it."""

    file: str
    """Under the data folder: JSON lines, perhaps gzipped, with `id` and `split` (`train` or `val`)."""
    columns: str = "text=text,tags=genres,image=poster"
    """What the experts see, as `capitoline rate --columns` has it."""
    media: str = ""
    """Under the data folder: a folder or archive with the media; beside the file if empty."""
    label: str = "rating5"
    """Column of the true rating; rows without one teach nobody and are not measured."""
    group: str = "title"
    """Column whose equal rows stay on one side of every division."""
    scale: tuple[str, ...] = Field(default=("PG", "PG13", "R", "X", "XXX"), min_length=2)
    """Labels, mildest first, of the file and of the trainings."""
    test_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the groups of the split train that becomes the split test, which no training reads."""
    folds: int = Field(default=5, ge=2, le=10)
    """Parts of the split train; each row's features come from weights that learned from the other parts."""
    experts: dict[TrainedKind, str] = Field(min_length=1)
    """Kind of the expert → YAML of its training, beside this file; its source is `file`."""
    processes: int = Field(default=2, ge=1)
    """Trainings side by side, each on one core."""
