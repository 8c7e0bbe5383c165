"""The whole graph in one process, a micro-batch at a time.

A lane serves both lowerings: this process runs one (`process.py`), a Ray actor hosts one
(`cluster.py`, fused placement).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from capitoline.modalities.schema import Item
from capitoline.pipelines.graph import ITEMS, Graph, Node, Operator, Result, Values

START_UP = "start-up"
"""The stage under which building operators (imports, weights) is counted."""


class Lane:
    """Builds each operator when the first item needs it, then keeps it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._operators: dict[str, Operator] = {}

    def __call__(self, items: Sequence[Item]) -> Result:
        """Raises whatever an operator raises; operators never raise for an item."""
        return self.finish(items, self.begin(items))

    def begin(self, items: Sequence[Item]) -> Result:
        """The first node alone (decoding), so that it can run ahead of the rest."""
        return self._run(self._graph.nodes[0], [list(items)])

    def finish(self, items: Sequence[Item], begun: Result) -> Result:
        """All nodes but the first, whose values are `begun`."""
        first, *rest = self._graph.nodes
        values: dict[str, Values] = {ITEMS: list(items), first.name: begun.values}
        seconds = dict(begun.seconds)
        for node in rest:
            result = self._run(node, [values[name] for name in node.reads])
            values[node.name] = result.values
            seconds = added(seconds, result.seconds)
        return Result(values[self._graph.output], seconds)

    def close(self) -> None:
        """Ends what the operators hold: a decoder's child process."""
        for operator in self._operators.values():
            close(operator)
        self._operators.clear()

    def _run(self, node: Node, inputs: Sequence[Values]) -> Result:
        if (idle := node.idle(*inputs)) is not None:
            return Result(idle)
        started = time.thread_time()
        operator = self._operator(node)
        built = time.thread_time() - started
        before = cpu_seconds(operator)
        values = operator(*inputs)
        assert len(values) == len(inputs[0]), f"{node.name} gave {len(values)} values for {len(inputs[0])} items"
        return Result(values, {node.name: cpu_seconds(operator) - before, START_UP: built})

    def _operator(self, node: Node) -> Operator:
        if node.name not in self._operators:
            self._operators[node.name] = node.build()
        return self._operators[node.name]


def cpu_seconds(operator: Operator) -> float:
    """A clock of the CPU seconds that the operator spends.

    An operator with a child process counts them itself (its attribute `cpu_seconds`) and may run
    ahead of the others in a thread of its own, so this process's clock would give it theirs. The
    others may use threads (Whisper does), which only this process's clock counts.
    """
    own: float | None = getattr(operator, "cpu_seconds", None)
    return time.process_time() if own is None else time.thread_time() + own


def close(operator: Operator) -> None:
    ending: Any = getattr(operator, "close", None)
    if ending is not None:
        ending()


def added(left: Mapping[str, float], right: Mapping[str, float]) -> dict[str, float]:
    """The sum of two tallies of seconds by stage."""
    return {name: left.get(name, 0.0) + right.get(name, 0.0) for name in {**left, **right}}
