"""The configuration of an evaluation. The YAML files in `eval/` fill it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capitoline.configs.settings import Strict
from capitoline.configs.training import Kind, Source


class Mark(Strict):
    """Figures to compare with, from elsewhere; those that are unknown or not asked for are left out."""

    accuracy: float | None = None
    macro_f1: float | None = None
    kappa: float | None = None
    """Quadratic weighted kappa."""
    recall: dict[str, float] = Field(default_factory=dict)
    """Label → recall."""


class Task(Strict):
    """One row of the evaluation's table."""

    name: str
    source: Source
    """Its `head` says which head is asked; its `group` which rows the bootstrap keeps together."""
    beside: tuple[Source, ...] = ()
    """Other readings of the same file, row by row: the mean of all heads' probabilities decides."""
    unseen: bool = False
    """Only rows whose text does not occur among the rows of the split train."""
    channels: tuple[str, ...] = ()
    """Video: the score channels that are known; if empty, those that the expert computes from pixels."""
    floor: Mark = Mark()
    """What a simple method reaches on rows that are kept apart."""
    target: Mark = Mark()
    """What must be reached; a recall must be exceeded."""


class Evaluation(Strict):
    """Heads on rows of `split`, beside floors and targets: `capitoline evaluate FILE`."""

    kind: Kind
    weights: str
    """Name of shipped weights, or a path."""
    split: Literal["train", "val"] = "val"
    selection: float = Field(default=0.08, gt=0, lt=1)
    """Share of the training groups on which thresholds are chosen; no more than the training held out."""
    tasks: tuple[Task, ...] = Field(min_length=1)
