"""What the answers cost, and how much may still be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capitoline.pipelines.distillation.answer import Usage


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a million tokens."""

    prompt: float = 0.0
    answer: float = 0.0
    currency: str = "USD"

    def cost(self, usage: Usage) -> float:
        return (usage.prompt_tokens * self.prompt + usage.answer_tokens * self.answer) / 1e6


class Ledger:
    """Sets aside what a row may cost before it is asked about, and replaces that by what it did cost."""

    def __init__(self, prices: Prices, budget: float | None) -> None:
        self._prices, self._budget = prices, budget
        self._reserved: dict[str, float] = {}
        self.usage = Usage()

    @property
    def spent(self) -> float:
        return self._prices.cost(self.usage)

    def reserve(self, item: str, foreseen: Usage) -> bool:
        """Whether the budget has room for it. Only attempts beyond the foreseen ones can pass the budget."""
        cost = self._prices.cost(foreseen)
        if self._budget is not None and self.spent + sum(self._reserved.values()) + cost > self._budget:
            return False
        self._reserved[item] = cost
        return True

    def settle(self, used: Mapping[str, Usage]) -> None:
        """What each item took."""
        for item, usage in used.items():
            self._reserved.pop(item, None)
            self.usage += usage
