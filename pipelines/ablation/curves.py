"""The curves of the page: what error is left when more goes to people, and how far probabilities can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capitoline.pipelines.ablation.outcomes import Outcome

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RiskCurve:
    """Error among what is decided automatically, against the share that people look at (arXiv:1705.08500)."""

    reviewed: Values
    """Shares of the items, those of the thinnest margin first; items of one margin go together."""
    error: Values
    down: Values
    """The same of down-class errors alone."""

    @property
    def area(self) -> float:
        """Under `error`: its mean over shares of review, smaller is better."""
        return _area(self.reviewed, self.error)

    @property
    def down_area(self) -> float:
        return _area(self.reviewed, self.down)


def risk_curve(outcome: Outcome) -> RiskCurve:
    """Of N items; it ends where the surest items, which cannot be told apart, are all that is left."""
    order = np.argsort(outcome.margins, kind="stable")
    margins = outcome.margins[order]
    wrong = (outcome.severities != outcome.truth)[order]
    down = (outcome.severities < outcome.truth)[order]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(margins) > 0) + 1))
    left = len(order) - starts
    return RiskCurve(starts / len(order), _sums_from(wrong, starts) / left, _sums_from(down, starts) / left)


def _sums_from(flags: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    sums: npt.NDArray[np.int64] = np.cumsum(flags[::-1], dtype=np.int64)[::-1][starts]
    return sums


def _area(reviewed: Values, error: Values) -> float:
    """The curve is a step function; after its last step no less can be reached."""
    widths = np.diff(np.append(reviewed, 1.0))
    return float((widths * error).sum())
