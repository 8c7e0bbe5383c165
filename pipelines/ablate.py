"""Which strategy, which experts and which cost to run: from stored features to one answer, with honest intervals.

Everything is fitted on the split `train`, whose evidence comes from experts that had not seen it,
and chosen on `val`. Only then, once, are a few candidates looked at on `test`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from capitoline.configs.ablation import Ablation
from capitoline.configs.training import load_configuration
from capitoline.fusion.options import MlpOptions, Options
from capitoline.modalities.decisions import ArrayDecider
from capitoline.modalities.feature_set import UNKNOWN, FeatureSet
from capitoline.pipelines.ablation.attribution import leave_one_out, shapley
from capitoline.pipelines.ablation.comparison import report
from capitoline.pipelines.ablation.final import best_of, finalists, pairs, roles
from capitoline.pipelines.ablation.findings import Attribution, Curve, CurvePoint, Findings, Split
from capitoline.pipelines.ablation.fitting import Task, share_of_groups
from capitoline.pipelines.ablation.grid import VOTES, Candidate, Fit, candidates
from capitoline.pipelines.ablation.outcomes import Combination, outcome
from capitoline.pipelines.ablation.resampling import Interval, draw, percentile_interval, resample
from capitoline.pipelines.ablation.results import write_results
from capitoline.pipelines.ablation.robustness import CLEAN, applied, conditions
from capitoline.pipelines.ablation.significance import holm, mcnemar
from capitoline.pipelines.ablation.standings import Standing, select, standings
from capitoline.pipelines.ablation.trial import Trial, trial
from capitoline.pipelines.ablation.winner import write_winner
from capitoline.pipelines.features.build import build_features
from capitoline.pipelines.features.store import FeatureStore
from capitoline.pipelines.job import Progress, silent

SEED = 7
"""Of faults and of the bootstrap's draws: the same features give the same page."""

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Ablated:
    findings: Findings
    winner: ArrayDecider
    """The chosen strategy, fitted from its best seed."""
    margin: float
    """Under which its items go to a person."""


def run_ablation(config: Path, out: Path, data: Path, progress: Progress = silent) -> Findings:
    """The ablation that a YAML file describes, its results in `out`; features are built first where they are not.

    Raises:
        ValueError: the file, the features or the data behind them are not as they must be.
        RuntimeError: the training of an expert failed.
    """
    settings = load_configuration(config, Ablation)
    folder = Path(settings.features)
    if settings.build and not (folder / "store.json").exists():
        build_features(settings.build, data, folder, progress)
    options = Options(mlp=MlpOptions(**settings.mlp.model_dump()))
    ablated = ablate(settings, FeatureStore(folder).read(), options)
    write_results(out, ablated.findings)
    write_winner(out, ablated.findings, ablated.winner, ablated.margin, folder)
    return ablated.findings


def ablate(settings: Ablation, features: FeatureSet, options: Options) -> Ablated:
    """Compares every combination that `settings` name.

    Raises:
        ValueError: a split or an expert is missing, or the features are not fit to train a fusion on.
    """
    begin = time.perf_counter()
    rows = splits_of(features.only(settings.experts) if settings.experts else features)
    experts = tuple(one.name for one in rows["val"].experts)
    compared = candidates(settings.strategies, experts, settings.down_costs, settings.reviews)
    review = settings.selection.review
    tried = trial(_task(settings, rows, options), compared, _curve_fits(settings, experts), settings.seeds)
    measured = tried.measured(tried.combinations(compared, review))
    seconds = {one.name: float(one.seconds.mean()) for one in rows["val"].experts}
    ranked = standings(measured, seconds)
    decided = time.perf_counter() - begin

    chosen = select(ranked, review, settings.selection.down_slack)
    baseline = best_of(ranked, settings.baseline, review, experts)
    reported = finalists(roles(ranked, chosen, baseline, experts, settings.report), ranked, tried, rows["test"])
    findings = Findings(
        title=settings.title,
        labels=features.labels,
        experts=experts,
        splits={name: Split(name, len(one), len(set(one.groups.tolist()))) for name, one in rows.items()},
        seconds=seconds,
        wall_seconds=decided,
        review=review,
        down_slack=settings.selection.down_slack,
        noise=settings.noise,
        measured=tuple(measured),
        ranked=tuple(ranked),
        differences=_differences(ranked, baseline, tried, rows["val"], settings.draws),
        chosen=chosen,
        baseline=baseline,
        test=report(reported, pairs(reported), "test", rows["test"].groups, settings.draws, SEED),
        attribution=_attribution(ranked, chosen, experts),
        curve=_curve(settings, ranked, tried, rows["train"], experts),
    )
    best = chosen.candidate, chosen.best_seed
    return Ablated(findings, tried.decider(*best), tried.margin(*best))


def splits_of(features: FeatureSet) -> dict[str, FeatureSet]:
    """The labelled rows of each split.

    Raises:
        ValueError: a split has none.
    """
    labelled = features.at(np.flatnonzero(features.truth != UNKNOWN))
    rows = {name: labelled.of_split(name) for name in SPLITS}
    if missing := [name for name, one in rows.items() if not len(one)]:
        raise ValueError(
            f"the features have no labelled rows of the split {' and '.join(missing)}: an ablation fits on `train`, "
            "chooses on `val` and reports once on `test`"
        )
    return rows


def _task(settings: Ablation, rows: Mapping[str, FeatureSet], options: Options) -> Task:
    # One level of cost for the fits: what decides by cost decides at each of them from the same fit.
    experts = tuple(one.name for one in rows["val"].experts)
    faulty = {one: applied(one, rows["val"], settings.noise, SEED) for one in conditions(experts)}
    return Task(replace(options, down_cost=1.0), rows["train"], faulty)


def _differences(
    ranked: Sequence[Standing], baseline: Standing, tried: Trial, rows: FeatureSet, draws: int
) -> dict[Candidate, Interval]:
    """Of every candidate that reviews as much as the baseline; intervals one by one, p corrected for all."""
    compared = [baseline, *(one for one in ranked if one.candidate.review == baseline.candidate.review)]
    outcomes = [tried.outcomes(one.candidate) for one in compared]
    every = [one for some in outcomes for one in some]
    members = np.split(np.arange(len(every)), np.cumsum([len(some) for some in outcomes])[:-1])
    severities, counted = np.stack([one.severities for one in every]), np.stack([one.automatic for one in every])
    resampled = resample(rows.truth, severities, counted, *draw(rows.groups, draws, SEED))
    kappa = resampled.mean_over([one.tolist() for one in members]).kappa
    served = [tried.outcome(Combination(one.candidate, one.best_seed)) for one in compared]
    mistakes = [(one.severities != one.truth) & one.automatic for one in served]
    corrected = holm([mcnemar(one, mistakes[0]) for one in mistakes[1:]])
    intervals = [percentile_interval(kappa[:, index] - kappa[:, 0], 0.95) for index in range(1, len(compared))]
    return {
        one.candidate: replace(interval, p=p)
        for one, interval, p in zip(compared[1:], intervals, corrected, strict=True)
    }


def _attribution(ranked: Sequence[Standing], chosen: Standing, experts: tuple[str, ...]) -> Attribution:
    """Of the chosen strategy at its cost; where an expert alone was chosen, of the best strategy of all experts."""
    review = chosen.candidate.review
    everyone = [one.candidate for one in ranked if one.candidate.experts == experts and one.candidate.review == review]
    wanted = everyone[0] if chosen.candidate.is_expert and len(experts) > 1 else chosen.candidate
    values = {frozenset[str](): 0.0}
    for one in ranked:
        candidate = one.candidate
        alone = candidate.is_expert and wanted.strategy in VOTES
        alike = candidate.strategy == wanted.strategy and candidate.down_cost == wanted.down_cost
        if (alone or alike) and candidate.review == review:
            values[frozenset(candidate.experts)] = one.kappa
    return Attribution(
        wanted.strategy, wanted.down_cost, values[frozenset(experts)], leave_one_out(values), shapley(values)
    )


def _curve_fits(settings: Ablation, experts: tuple[str, ...]) -> list[Fit]:
    if settings.curve is None:
        return []
    strategy = settings.curve.strategy
    return [Fit(strategy, experts, seed, share) for share in settings.curve.shares for seed in settings.seeds]


def _curve(
    settings: Ablation, ranked: Sequence[Standing], tried: Trial, train: FeatureSet, experts: tuple[str, ...]
) -> Curve | None:
    """At the cost that serves the strategy best when it is fitted to everything."""
    if settings.curve is None:
        return None
    strategy = settings.curve.strategy
    candidate = best_of(ranked, strategy, settings.selection.review, experts).candidate
    points = []
    for share in settings.curve.shares:
        fitted = [tried.fitted[Fit(strategy, experts, seed, share)] for seed in settings.seeds]
        outcomes = [outcome(Combination(candidate), tried.rows[CLEAN].truth, one.decisions[CLEAN]) for one in fitted]
        kappas = tuple(one.figures().kappa for one in outcomes)
        points.append(CurvePoint(len(share_of_groups(train, share)), kappas))
    return Curve(strategy, tuple(points))
