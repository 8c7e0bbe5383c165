"""An item that breaks an expert is an error, and its neighbours are rated."""

from __future__ import annotations

from collections.abc import Sequence

from capitoline.modalities.schema import Decoded, Evidence, Failure, Item, Modality, Outcome
from capitoline.modalities.shielded import shielded


class Fragile:
    """Rates texts by their length, and breaks on an empty one."""

    name = "fragile"
    modality: Modality | None = Modality.TEXT

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        return shielded(self, self._rate, items, lambda item: item.text is not None, [Modality.TEXT])

    def _rate(self, items: Sequence[Decoded]) -> list[Evidence]:
        self.batches.append(len(items))
        return [Evidence(self.name, self.modality, Outcome.RATED, severity=1 // len(item.text or "")) for item in items]


def decoded(text: str | None, failure: Failure | None = None) -> Decoded:
    return Decoded(Item("id"), "digest", text, failures={Modality.TEXT: failure} if failure else {})


def outcomes(evidence: Sequence[Evidence]) -> list[Outcome]:
    return [one.outcome for one in evidence]


def test_a_healthy_batch_is_rated_at_once() -> None:
    expert = Fragile()
    assert outcomes(expert([decoded("a"), decoded("b")])) == [Outcome.RATED] * 2
    assert expert.batches == [2]


def test_only_the_item_that_raises_is_an_error() -> None:
    evidence = Fragile()([decoded("a"), decoded(""), decoded("bc")])
    assert outcomes(evidence) == [Outcome.RATED, Outcome.ERROR, Outcome.RATED]
    assert [one.severity for one in evidence] == [1, None, 0]
    assert evidence[1].reason.startswith("ZeroDivisionError: ")


def test_what_is_not_there_is_absent_and_what_could_not_be_decoded_says_why() -> None:
    expert = Fragile()
    broken = decoded(None, Failure(Outcome.UNSUPPORTED, "a spreadsheet"))
    evidence = expert([decoded(None), broken, decoded("a")])
    assert outcomes(evidence) == [Outcome.ABSENT, Outcome.UNSUPPORTED, Outcome.RATED]
    assert [one.reason for one in evidence[:2]] == ["no text", "a spreadsheet"]
    assert expert.batches == [1]


def test_a_batch_without_the_part_costs_nothing() -> None:
    expert = Fragile()
    assert outcomes(expert([decoded(None)])) == [Outcome.ABSENT]
    assert expert.batches == []
