"""The graph of a job, independent of where it runs.

A node turns a micro-batch into one value for each item, in order. It reads the values of
nodes declared before it, so a graph is acyclic by construction. The same specification is
lowered to one process (`lane.py`) and to Ray (`cluster.py`); both give equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from capitoline.modalities.schema import Item

ITEMS = "items"
"""What the first node reads: the micro-batch itself."""

Values = list[Any]
"""One value for each item of a micro-batch, in order."""

Operator = Callable[..., Values]
"""Called with the `Values` of each node it reads; may have `close()`."""


def never_idle(*inputs: Values) -> None:
    """For a node that every item needs."""


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the graph."""

    name: str
    reads: tuple[str, ...]
    build: Callable[[], Operator]
    """Makes the operator where it will run: loads weights, starts children. Must be picklable."""
    idle: Callable[..., Values | None] = never_idle
    """The values if these inputs give the operator nothing to do, else None: what no item needs is not built."""
    cpus: float = 1.0
    gpus: float = 0.0
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can run; the last one's values are the result.

    Raises:
        ValueError: a repeated name, or a node that reads what is not declared before it.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        known = {ITEMS}
        for node in self.nodes:
            if node.name in known:
                raise ValueError(f"the graph has two nodes called {node.name!r}")
            if missing := [name for name in node.reads if name not in known]:
                raise ValueError(f"node {node.name!r} reads {', '.join(missing)}, not declared before it")
            known.add(node.name)

    @property
    def output(self) -> str:
        return self.nodes[-1].name


@dataclass(frozen=True, slots=True)
class Batch:
    """A micro-batch: the unit of work."""

    shard: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What the graph made of a micro-batch."""

    values: Values
    seconds: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds by node, for the whole batch."""
