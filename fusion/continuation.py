"""Ordinal logistic regression on continuation ratios: the likelihood that calibration and stacking maximise.

A row of severity y is one yes-or-no observation for each step k ≤ y: did it go above k? Steps
beyond the most severe label of the rows are never observed. What is fitted says nothing about
them, and every decider leaves them to the experts (`Taught`).

Legend:  N = rows, K = labels, P = parameters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Severities = npt.NDArray[np.int64]

NEWTON_STEPS = 30
"""Enough for a dozen parameters by far: convergence is quadratic once near."""


def taught_steps(truth: Severities, labels: int) -> npt.NDArray[np.bool_]:
    """(K-1,) whether any row went above step k, so that there is something to learn about it."""
    return np.asarray(np.arange(labels - 1) < truth.max())


def fit_steps(design: Array, truth: Severities, start: Array, ridge: float) -> Array:
    """(P,) parameters of the greatest penalised likelihood, by Newton's method.

    Args:
        design: (N, K-1, P); the log-odds of going above step k is `design[:, k] @ parameters`.
        truth: (N,) severities.
        start: (P,) where the search begins and what the penalty pulls towards.
        ridge: half of it times the squared distance from `start` is the penalty.
    """
    steps = np.arange(design.shape[1])
    observed = (truth[:, None] >= steps) & taught_steps(truth, design.shape[1] + 1)
    inputs, above = design[observed], (truth[:, None] > steps)[observed]
    parameters = start.copy()
    for _ in range(NEWTON_STEPS):
        likelihood = 1 / (1 + np.exp(-inputs @ parameters))
        slope = inputs.T @ (above - likelihood) - ridge * (parameters - start)
        curvature = (inputs.T * (likelihood * (1 - likelihood))) @ inputs + ridge * np.eye(len(start))
        change = np.linalg.solve(curvature, slope)
        # A whole Newton step overshoots far from the optimum, where the curvature vanishes.
        parameters += change / max(1.0, float(np.abs(change).max()) / 2)
        if np.abs(change).max() < 1e-9:
            break
    return parameters
