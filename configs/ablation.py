"""The configuration of an ablation: `capitoline ablate FILE`. The YAML files in `ablate/` fill it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from capitoline.configs.feature_build import FeatureBuild
from capitoline.configs.fusion import MlpSettings
from capitoline.configs.settings import Strict

StrategyName = Literal[
    "majority", "upper_median", "most_severe", "weighted_vote", "mean",
    "calibrated_most_severe", "dawid_skene", "stacking", "mlp",
]  # fmt: skip


class Selection(Strict):
    """How one candidate is chosen on the split `val`: the highest quadratic weighted kappa."""

    review: float = Field(default=0.0, ge=0, lt=1)
    """Share of the items that go to a person, at which candidates are compared; one of `reviews`."""
    down_slack: float | None = Field(default=0.0, ge=0)
    """How much the down-class rate may exceed that of the best single expert; null: no bound."""


class LearningCurve(Strict):
    """One strategy, of all experts, fitted to parts of the training groups."""

    strategy: StrategyName = "mlp"
    shares: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
    """Of the training groups."""


class Ablation(Strict):
    """Which strategy, which experts and which cost to run, from stored features."""

    title: str = "Ablation"
    """Of the page."""
    features: str
    """Folder of a feature store with the splits `train`, `val` and `test`."""
    build: FeatureBuild | None = None
    """How the features are made, where they are not there yet; null: they must be there."""
    experts: tuple[str, ...] = ()
    """Experts whose subsets are compared; if empty, all of the store."""
    strategies: tuple[StrategyName, ...] = (
        "majority", "upper_median", "most_severe", "weighted_vote", "mean",
        "calibrated_most_severe", "dawid_skene", "stacking", "mlp",
    )  # fmt: skip
    baseline: StrategyName = "majority"
    """What differences are taken against, with all experts."""
    report: tuple[StrategyName, ...] = ("mlp",)
    """Strategies whose best candidate on `val` is also reported on `test`, beside the chosen one, the baseline,
    the best single expert and the voter's rules. Each makes the intervals of all a little wider."""
    down_costs: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0)
    """Costs of a level too mild, in costs of a level too severe. Cost c decides at the c/(1+c) quantile."""
    reviews: tuple[float, ...] = (0.0, 0.1, 0.2)
    """Shares of the items that go to a person, those of the thinnest margin between their two likeliest labels."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Of strategies that come out differently from another seed."""
    noise: float = Field(default=0.3, gt=0, le=1)
    """Share of the rows about which a noised expert speaks of another row (synthetic)."""
    draws: int = Field(default=10_000, ge=1_000)
    """Of the bootstrap."""
    mlp: MlpSettings = MlpSettings()
    selection: Selection = Selection()
    curve: LearningCurve | None = LearningCurve()

    @model_validator(mode="after")
    def _consistent(self) -> Ablation:
        if self.selection.review not in self.reviews:
            raise ValueError(f"selection.review {self.selection.review:g} is not among reviews; add it there")
        named = (self.baseline, *self.report, *((self.curve.strategy,) if self.curve else ()))
        if missing := sorted(set(named) - set(self.strategies)):
            raise ValueError(f"{', '.join(missing)} named in baseline, report or curve is not among strategies")
        return self
