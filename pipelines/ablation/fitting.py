"""Fits every strategy to every subset of experts, from every seed, on all cores; each decides what it is asked.

A fit happens once: costs, shares of review and conditions are decided from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from capitoline.fusion.options import Options
from capitoline.modalities.decisions import NOT_RATED, ArrayDecider, Decisions
from capitoline.modalities.feature_set import FeatureSet
from capitoline.pipelines.ablation.grid import EXPERT, Fit
from capitoline.pipelines.ablation.robustness import Condition
from capitoline.pipelines.strategies import STRATEGIES

FEW = 8
"""Fits for which no processes are started."""


class Ballot:
    """The one expert there is: its ballot, and the probabilities it rests on."""

    name = EXPERT

    def decide(self, features: FeatureSet) -> Decisions:
        (expert,) = features.experts
        return Decisions(np.where(expert.rated, expert.severities, NOT_RATED), expert.probabilities)


def _ballot(features: FeatureSet, options: Options) -> ArrayDecider:
    return Ballot()


FITTERS = {**STRATEGIES, EXPERT: _ballot}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A decider, and what it decided in each condition that concerns its experts."""

    fit: Fit
    decider: ArrayDecider
    decisions: dict[Condition, Decisions]


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is given once: rows to fit to, and rows to decide, by condition."""

    options: Options
    """Of every fit but for the seed."""
    train: FeatureSet
    rows: Mapping[Condition, FeatureSet]

    def run(self, fit: Fit) -> Fitted:
        train = share_of_groups(self.train, fit.share).only(fit.experts)
        decider = FITTERS[fit.strategy](train, replace(self.options, seed=fit.seed))
        decisions = {
            condition: decider.decide(rows.only(fit.experts))
            for condition, rows in self.rows.items()
            if _concerns(condition, fit)
        }
        return Fitted(fit, decider, decisions)


def run_fits(task: Task, fits: Sequence[Fit], processes: int = 0) -> Iterator[Fitted]:
    """The fits in their order; `processes` 0 is one for each core that this process may use."""
    processes = processes or len(os.sched_getaffinity(0))
    if processes == 1 or len(fits) <= FEW:
        yield from map(task.run, fits)
        return
    # Spawned, because a fork of a process whose libraries hold threads may hang.
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, _remember, (task,)) as pool:
        yield from pool.map(_run, fits)


def _concerns(condition: Condition, fit: Fit) -> bool:
    """A fault of an expert that is asked, and never of the only one."""
    return condition.fault is None or (fit.share == 1 and len(fit.experts) > 1 and condition.expert in fit.experts)


def share_of_groups(features: FeatureSet, share: float) -> FeatureSet:
    """The first `share` of the groups, in an order that is the same for every share: small sets lie in large ones."""
    names, group_of = np.unique(features.groups, return_inverse=True)
    place = np.random.default_rng(0).permutation(len(names))
    return features.at(np.flatnonzero(place[group_of] < round(share * len(names))))


_task: Task | None = None
"""Of this process of the pool."""


def _remember(task: Task) -> None:
    global _task
    _task = task


def _run(fit: Fit) -> Fitted:
    assert _task is not None
    return _task.run(fit)
