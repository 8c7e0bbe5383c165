"""Values of tags and thresholds of ratings from rated examples: a proportional-odds model.

P(severity ≥ k) = σ(Σ values of the tags − threshold k), McCullagh 1980,
https://doi.org/10.1111/j.2517-6161.1980.tb01109.x. The number of thresholds that a score
reaches is then the median severity. Convex, so every run finds the same table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from capitoline.modalities.tagging.tag_tables import Table, normalised


def fit_table(
    rows: Iterable[tuple[Sequence[str], int]],
    labels: Sequence[str],
    minimum_rows: int = 5,
    ridge: float = 1.0,
) -> Table:
    """The table that explains `rows`, each the tags of an item and its severity, best.

    Args:
        minimum_rows: a tag in fewer rows gets no value.
        ridge: pull of each value towards 0, as if that much evidence spoke against it.

    Raises:
        ValueError: no row has one of the labels, or no tag is in enough rows.
    """
    examples = [(set(map(normalised, tags)), severity) for tags, severity in rows]
    unseen = set(range(len(labels))) - {severity for _, severity in examples}
    if unseen:
        raise ValueError(f"no row is rated {', '.join(labels[one] for one in sorted(unseen))}; add some")
    counts = Counter(tag for tags, _ in examples for tag in tags)
    names = sorted(tag for tag, count in counts.items() if count >= minimum_rows)
    if not names:
        raise ValueError(f"no tag is in {minimum_rows} rows or more")
    present = torch.tensor([[name in tags for name in names] for tags, _ in examples], dtype=torch.float64)
    severities = torch.tensor([severity for _, severity in examples])
    values, thresholds = _minimise(present, severities, len(labels), ridge)
    return Table(
        thresholds=tuple(round(one, 2) for one in thresholds.tolist()),
        values={name: round(value, 2) for name, value in zip(names, values.tolist(), strict=True)},
    )


def fit_thresholds(scores: Sequence[float], severities: Sequence[int], labels: int) -> tuple[float, ...]:
    """(K-1,) scores from which each label but the mildest is the median, of rated examples with one score each.

    Raises:
        ValueError: the score does not rise with the severity, so that no threshold on it can mean anything.
    """
    column = torch.tensor(scores, dtype=torch.float64)[:, None]
    values, thresholds = _minimise(column, torch.tensor(severities), labels, ridge=1.0)
    if values.item() <= 0:
        raise ValueError("the score falls as the severity rises")
    return tuple(round(one, 2) for one in (thresholds / values).tolist())


def _minimise(present: Tensor, severities: Tensor, labels: int, ridge: float) -> tuple[Tensor, Tensor]:
    """(N,) values and (K-1,) thresholds of (rows, N) present tags and (rows,) severities."""
    values = torch.zeros(present.shape[1], dtype=torch.float64, requires_grad=True)
    steps = torch.zeros(labels - 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([values, steps], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        scores, thresholds = present @ values, _ascending(steps)
        total = _surprise(scores, thresholds, severities) + ridge / 2 * values.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return values.detach(), _ascending(steps).detach()


def _ascending(steps: Tensor) -> Tensor:
    return torch.cat((steps[:1], functional.softplus(steps[1:]))).cumsum(0)


def _surprise(scores: Tensor, thresholds: Tensor, severities: Tensor) -> Tensor:
    """−log likelihood, nats, of all rows."""
    at_least = torch.sigmoid(scores[:, None] - thresholds)
    padded = functional.pad(functional.pad(at_least, (1, 0), value=1.0), (0, 1), value=0.0)
    likelihood = (padded[:, :-1] - padded[:, 1:]).gather(1, severities[:, None])
    return -likelihood.clamp_min(1e-12).log().sum()
