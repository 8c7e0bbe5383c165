"""The paired bootstrap: the same draws of groups for every decider, so that their differences are compared.

Groups are drawn, not items, because two rows of one film are not two observations (Field and
Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x). A draw is a count for each group, and every
figure here is a function of sums over items; so all draws of all deciders are one matrix product.

Legend:  B = draws, C = deciders, N = items, G = groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capitoline.pipelines.evaluation.metrics import Severities

Draws = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

CHUNK = 512
"""Draws of which the sums are held at once."""


@dataclass(frozen=True, slots=True)
class Resampled:
    """Two figures of C deciders, in each of B draws."""

    kappa: Values
    """(B, C), NaN in a draw where it is undefined."""
    down_rate: Values
    """(B, C)"""

    def mean_over(self, members: Sequence[Sequence[int]]) -> Resampled:
        """The mean of each list of deciders in their place: one decider trained from several seeds."""
        means = [np.stack([one[:, list(some)].mean(1) for some in members], 1) for one in (self.kappa, self.down_rate)]
        return Resampled(*means)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a difference lies."""

    low: float
    high: float
    p: float
    """Two-sided, of no difference."""


def draw(groups: npt.NDArray[np.str_], draws: int, seed: int) -> tuple[npt.NDArray[np.int64], Draws]:
    """The group of each item (N,), and how often each draw has each group (B, G)."""
    names, group_of = np.unique(groups, return_inverse=True)
    chosen = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)), dtype=np.int32)
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in chosen]).astype(np.float32)
    return group_of, counts


def resample(
    truth: Severities, severities: Severities, counted: Flags, group_of: npt.NDArray[np.int64], counts: Draws
) -> Resampled:
    """Figures of (C, N) `severities` in each draw, over the items (C, N) that each decider has `counted`.

    Sums of small integers are exact in single precision up to 2^24.
    """
    squares = (truth * truth, severities * severities, severities * truth)
    values = (np.ones_like(truth), truth, severities, *squares, (severities < truth).astype(np.int64))
    sums = _by_group(np.concatenate([value * counted for value in values]), group_of, counts.shape[1])
    parts = [_figures(part @ sums) for part in np.split(counts, range(CHUNK, len(counts), CHUNK))]
    return Resampled(np.concatenate([kappa for kappa, _ in parts]), np.concatenate([down for _, down in parts]))


def percentile_interval(differences: Values, level: float) -> Interval:
    """The middle `level` of (B,) differences; p is the share on the far side of zero, twice.

    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 15.
    """
    known = differences[~np.isnan(differences)]
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    beyond = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Interval(float(low), float(high), min(1.0, 2 * (beyond + 1) / (len(known) + 1)))


def _by_group(values: npt.NDArray[np.int64], group_of: npt.NDArray[np.int64], groups: int) -> Draws:
    """Sums of (M, N) values over the items of each group, (G, M)."""
    sums = np.zeros((groups, len(values)), np.float32)
    np.add.at(sums, group_of, values.T.astype(np.float32))
    return sums


def _figures(sums: Draws) -> tuple[Values, Values]:
    """Kappa and down-class rate (b, C) from the sums (b, 7C) of one chunk of draws.

    Quadratic weighted kappa needs no matrix: its observed disagreement is Σ(t-p)², its expected one
    Σt² + Σp² - 2 Σt Σp / n.
    """
    count, true, rated, true_squared, squared, product, down = np.split(sums.astype(np.float64), 7, axis=1)
    observed = true_squared - 2 * product + squared
    expected = true_squared + squared - 2 * true * rated / np.maximum(count, 1)
    kappa = 1 - np.divide(observed, expected, out=np.full_like(observed, np.nan), where=expected > 0)
    return kappa, np.divide(down, count, out=np.full_like(down, np.nan), where=count > 0)
