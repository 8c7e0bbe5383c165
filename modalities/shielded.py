"""What every expert owes each item: an outcome, whatever happens to the batch it came in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from capitoline.modalities.schema import Decoded, Evidence, Expert, Modality, Outcome

RateBatch = Callable[[Sequence[Decoded]], list[Evidence]]
"""Rates items that all have what the expert looks at; may raise."""


def shielded(
    expert: Expert,
    rate_batch: RateBatch,
    items: Sequence[Decoded],
    sees: Callable[[Decoded], bool],
    modalities: Sequence[Modality],
    in_part: bool = False,
) -> list[Evidence]:
    """One evidence an item, in order; `rate_batch` gets those in which the expert `sees` something.

    The others are absent, or carry the failure of the first of `modalities` that could not be
    decoded: half a film that looks harmless is no ballot for the whole. If the batch raises, its
    items are tried one by one, so an item that breaks the expert is an error and its neighbours
    are rated. An expert that rates `in_part` has independent parts, and rates what is left.
    """
    failures = [None if in_part and sees(item) else _failure(expert, item, modalities) for item in items]
    seen = [item for item, failure in zip(items, failures, strict=True) if failure is None and sees(item)]
    found = iter(_one_by_one_if_need_be(expert, rate_batch, seen))
    missing = absent(expert.name, expert.modality, modalities)
    return [failure or (next(found) if sees(item) else missing) for item, failure in zip(items, failures, strict=True)]


def absent(expert: str, modality: Modality | None, modalities: Sequence[Modality]) -> Evidence:
    """The evidence about an item that has none of the `modalities` that the expert looks at."""
    return Evidence(expert, modality, Outcome.ABSENT, f"no {' or '.join(modalities)}")


def _one_by_one_if_need_be(expert: Expert, rate_batch: RateBatch, items: Sequence[Decoded]) -> list[Evidence]:
    if not items:
        return []
    try:
        evidence = rate_batch(items)
    except Exception as error:
        if len(items) > 1:
            return [one for item in items for one in _one_by_one_if_need_be(expert, rate_batch, [item])]
        reason = f"{type(error).__name__}: {error}"
        return [Evidence(expert.name, expert.modality, Outcome.ERROR, reason)]
    assert len(evidence) == len(items), f"{expert.name}: {len(evidence)} ratings of {len(items)} items"
    return evidence


def _failure(expert: Expert, item: Decoded, modalities: Sequence[Modality]) -> Evidence | None:
    for modality in modalities:
        failure = item.failures.get(modality)
        if failure:
            return Evidence(expert.name, expert.modality, failure.outcome, failure.reason)
    return None
