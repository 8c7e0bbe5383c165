"""Whether two deciders differ on the same items, and what remains of it after many comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]

EXACT_BELOW = 25
"""Discordant items under which the χ² approximation is not trusted (the usual bound)."""


def mcnemar(first: Flags, second: Flags) -> float:
    """Two-sided p that two deciders are wrong equally often, from (N,) flags of the same items.

    Only items on which they differ tell anything (McNemar 1947, doi:10.1007/BF02295996): the exact
    binomial where there are few, else χ² with Edwards' correction (1948, doi:10.1007/BF02289261).
    """
    assert first.shape == second.shape, (first.shape, second.shape)
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    discordant = only_first + only_second
    if discordant < EXACT_BELOW:
        return _binomial(min(only_first, only_second), discordant)
    excess = max(abs(only_first - only_second) - 1, 0)
    return math.erfc(math.sqrt(excess * excess / discordant / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in their order (Holm 1979, Scand. J. Statist. 6, 65-70).

    The smallest is multiplied by the number of comparisons, the next by one less, and none may
    come out below one that was smaller: rejecting at α keeps the chance of any false alarm at α.
    """
    corrected, greatest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        greatest = max(greatest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = greatest
    return corrected


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """The confidence level at which Holm's procedure tests each p-value, in their order.

    An interval at that level leaves out zero exactly if the corrected p is below `alpha` (Serlin 1993,
    J. Exp. Educ. 61, 350-360). From the first that is not rejected on, all are tested like that one.
    """
    levels, divisor = [0.0] * len(p_values), float(len(p_values))
    rejecting = True
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if rejecting:
            divisor = len(p_values) - rank
            rejecting = p_values[index] < alpha / divisor
        levels[index] = 1 - alpha / divisor
    return levels


def _binomial(successes: int, trials: int) -> float:
    """Two-sided p of at most `successes` of `trials` fair coins."""
    tail = sum(math.comb(trials, one) for one in range(successes + 1))
    return float(min(1.0, 2 * tail / 2**trials))
