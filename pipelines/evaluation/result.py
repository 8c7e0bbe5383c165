"""What an evaluation found out about one head on one set of rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from capitoline.configs.evaluation import Mark
from capitoline.pipelines.evaluation.axes import AxisFigures, mean_of
from capitoline.pipelines.evaluation.calibration import Bin
from capitoline.pipelines.evaluation.intervals import Intervals
from capitoline.pipelines.evaluation.metrics import Figures, defined


@dataclass(frozen=True, slots=True)
class Ordered:
    """Of a head with one axis."""

    labels: tuple[str, ...]
    figures: Figures
    intervals: Intervals
    bins: tuple[Bin, ...]
    majority: Figures
    """Of always saying the label that is most frequent in the training rows."""


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table. A head of one axis has `ordered`, one of several `axes`, one that is not there neither."""

    task: str
    weights: str
    model: str
    """Its family: `rwkv`, or that of a baseline."""
    floor: Mark
    target: Mark
    ordered: Ordered | None = None
    axes: tuple[AxisFigures, ...] = ()
    count: int = 0
    documents_a_second: float = float("nan")
    """Items a CPU second on this machine, in one process, reading the decoded data included."""
    note: str = ""
    """Why there are no figures; else empty."""

    @property
    def kappa(self) -> float:
        """Of the labels, or the mean over the ordinal axes."""
        return self.ordered.figures.kappa if self.ordered else mean_of([one.kappa for one in self.axes])

    @property
    def macro_f1(self) -> float:
        """Over the labels, or over the axes at their thresholds."""
        return self.ordered.figures.macro_f1 if self.ordered else mean_of([one.f1 for one in self.axes])

    @property
    def average_precision(self) -> float:
        """Mean over the axes: macro AUPRC; NaN for a head of one axis."""
        return mean_of([one.average_precision for one in self.axes])

    @property
    def met(self) -> bool | None:
        """Whether every figure that the target names is reached; None where there is no target or no figure."""
        checks = [] if self.note else self._checks()
        return all(checks) if checks else None

    def _checks(self) -> list[bool]:
        asked = ((self.target.kappa, self.kappa), (self.target.macro_f1, self.macro_f1))
        checks = [found >= least for least, found in asked if least is not None]
        if self.ordered:
            recall = dict(zip(self.ordered.labels, self.ordered.figures.recall, strict=True))
            checks += [recall[label] > least for label, least in self.target.recall.items()]
        return checks

    def as_json(self) -> dict[str, Any]:
        """Everything by name; null where a figure is undefined."""
        own = {name: getattr(self, name) for name in ("kappa", "macro_f1", "average_precision", "met")}
        marks = {name: getattr(self, name).model_dump(exclude_defaults=True) for name in ("floor", "target")}
        found: dict[str, Any] = defined(asdict(self) | own | marks)
        return found
