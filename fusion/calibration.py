"""Calibration of an expert on rows that it has not seen: one slope and a shift for each step of the scale.

Temperature scaling (arXiv:1706.04599) with a shift, which also repairs an expert that is too
mild or too severe throughout. Fitted in continuation-ratio log-odds.

Legend:  N = rows, E = experts, K = labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capitoline.fusion.continuation import Severities, fit_steps, taught_steps

Array = npt.NDArray[np.float64]

RIDGE = 1.0
"""About one observation's worth of belief in the expert's own calibration."""


def fit_calibration(odds: Array, rated: npt.NDArray[np.bool_], truth: Severities) -> tuple[Array, Array]:
    """(E, K-1) slopes and shifts for log-odds (N, E, K-1); 1 and 0 on steps that no row teaches."""
    steps = odds.shape[2]
    slopes, shifts = np.ones(odds.shape[1:]), np.zeros(odds.shape[1:])
    for expert in range(odds.shape[1]):
        rows = np.flatnonzero(rated[:, expert])
        if not len(rows):
            continue
        shift_of_step = np.broadcast_to(np.eye(steps), (len(rows), steps, steps))
        design = np.concatenate((odds[rows, expert][:, :, None], shift_of_step), axis=2)
        fitted = fit_steps(design, truth[rows], np.eye(1, steps + 1)[0], RIDGE)
        taught = taught_steps(truth[rows], steps + 1)
        slopes[expert, taught], shifts[expert, taught] = fitted[0], fitted[1:][taught]
    return slopes, shifts
