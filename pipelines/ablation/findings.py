"""All that an ablation found: what its table, its summary and its page are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capitoline.pipelines.ablation.comparison import Report
from capitoline.pipelines.ablation.grid import Candidate
from capitoline.pipelines.ablation.outcomes import Measured
from capitoline.pipelines.ablation.resampling import Interval
from capitoline.pipelines.ablation.standings import Standing


@dataclass(frozen=True, slots=True)
class Split:
    """How much a split holds of labelled rows."""

    name: str
    items: int
    groups: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each expert brings to one strategy at one cost, in kappa on `val`."""

    strategy: str
    down_cost: float
    together: float
    """What all experts reach; nobody reaches 0."""
    leave_one_out: Mapping[str, float]
    shapley: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One strategy of all experts, fitted to a part of the training rows."""

    rows: int
    kappas: tuple[float, ...]
    """On `val`, from each seed."""


@dataclass(frozen=True, slots=True)
class Curve:
    strategy: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    title: str
    labels: tuple[str, ...]
    experts: tuple[str, ...]
    splits: Mapping[str, Split]
    seconds: Mapping[str, float]
    """CPU seconds an item of each expert, as measured when its features were computed."""
    wall_seconds: float
    """For fitting, deciding and measuring all combinations on `val`."""
    review: float
    """Share of the items that go to a person, at which the choice was made."""
    down_slack: float | None
    noise: float
    measured: tuple[Measured, ...]
    """Every combination on `val`."""
    ranked: tuple[Standing, ...]
    """Every candidate, the best on `val` first."""
    differences: Mapping[Candidate, Interval]
    """Kappa on `val` less the baseline's; each interval for itself, p by McNemar and corrected for all of them."""
    chosen: Standing
    baseline: Standing
    test: Report
    """Its first row is the chosen candidate."""
    attribution: Attribution
    curve: Curve | None
