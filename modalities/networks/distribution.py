"""How the numbers of a sequence's elements are distributed over it, whatever their order: what no mean shows.

Nothing here is learned, so training and serving share this one function.

Legend:  B = sequences, T = elements of all sequences, V = numbers of an element.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

QUARTERS = 4
"""Parts into which quantiles cut a sequence: from the least number to the greatest in five."""

STATISTICS = QUARTERS + 4
"""Deviation, quantiles, mean and greatest step."""


def distribution(elements: Array, offsets: Numbers) -> Array:
    """(T, V), with offsets (B+1,) of sequences none of which is empty → (B, STATISTICS × V)."""
    starts, lengths = offsets[:-1], np.diff(offsets)
    mean = np.add.reduceat(elements, starts) / lengths[:, None]
    squares = (elements - np.repeat(mean, lengths, axis=0)) ** 2
    deviation = np.sqrt(np.add.reduceat(squares, starts) / lengths[:, None])
    steps = np.abs(np.diff(elements, axis=0, prepend=0.0))
    steps[starts] = 0.0
    mean_step = np.add.reduceat(steps, starts) / lengths[:, None]
    parts = [deviation, *_quantiles(elements, starts, lengths), mean_step, np.maximum.reduceat(steps, starts)]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _quantiles(elements: Array, starts: Numbers, lengths: Numbers) -> list[Array]:
    """QUARTERS + 1 of (B, V), each a number that occurs."""
    owners = np.repeat(np.arange(len(starts)), lengths)
    order = np.lexsort((elements.T, np.broadcast_to(owners, elements.T.shape)))
    ordered = np.take_along_axis(elements, order.T, axis=0)
    return [ordered[starts + (lengths - 1) * quarter // QUARTERS] for quarter in range(QUARTERS + 1)]
