"""Where a micro-batch runs on Ray: in one actor, or through a pool of actors for each node.

*Fused*: the whole graph in one actor, one actor a core; the least overhead, and the least
memory where cores are few, since every process that imports torch costs 450 MB. *Split*: a
pool for each node, with CPUs and GPUs of its own; what one node made is read by the others
from shared memory, so the edges of the graph are object references.

`ray.dag` is deprecated and Ray Data cannot branch, so neither is used.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import ray
from ray.exceptions import RayError

from capitoline.modalities.schema import Item
from capitoline.pipelines.graph import ITEMS, Graph, Node, Result
from capitoline.pipelines.lane import Lane, added, close, cpu_seconds
from capitoline.pipelines.pool import DiedError, Pool

EXPERTS_SHARE = 0.75
"""Most of the CPUs that split pools may reserve; above it Ray starves its own tasks without a word."""

logger = logging.getLogger("capitoline")


class Placement(Protocol):
    """Where a micro-batch runs."""

    pools: Sequence[Pool]

    async def __call__(self, items: Sequence[Item], deadline: float) -> Result:
        """Raises CallError when a process dies, hangs or raises."""
        ...


class Fused:
    """Lanes: each an actor that hosts the whole graph."""

    def __init__(self, graph: Graph, lanes: int) -> None:
        actor = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(LaneActor)
        self._pool = Pool("a lane", lanes, lambda: actor.remote(graph))
        self.pools: Sequence[Pool] = [self._pool]

    async def __call__(self, items: Sequence[Item], deadline: float) -> Result:
        reference, seconds = await self._pool.call(deadline, list(items))
        return Result(await _value(reference), seconds)


class Split:
    """A pool of actors for each node; nodes that do not read each other run side by side."""

    def __init__(self, graph: Graph, scale: float) -> None:
        self._graph = graph
        self._pools = {node.name: _node_pool(node, scale) for node in graph.nodes}
        self.pools: Sequence[Pool] = list(self._pools.values())

    async def __call__(self, items: Sequence[Item], deadline: float) -> Result:
        calls: dict[str, asyncio.Task[tuple[Any, dict[str, float]]]] = {}
        source = ray.put(list(items))

        async def run(node: Node) -> tuple[Any, dict[str, float]]:
            inputs = [source if name == ITEMS else (await calls[name])[0] for name in node.reads]
            return await self._pools[node.name].call(deadline, *inputs)

        for node in self._graph.nodes:
            calls[node.name] = asyncio.create_task(run(node))
        # All of them are awaited even if one fails: a cancelled call would leave its actor busy, and lost.
        for outcome in await asyncio.gather(*calls.values(), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        seconds: dict[str, float] = {}
        for call in calls.values():
            seconds = added(seconds, call.result()[1])
        return Result(await _value(calls[self._graph.output].result()[0]), seconds)


def place(graph: Graph, placement: str, lanes: int) -> Placement:
    """Fused lanes unless a node asks for a GPU or the configuration for pools.

    Raises:
        ValueError: the cluster has fewer GPUs than the nodes ask for.
    """
    resources = cluster_resources()
    wanted_gpus = sum(node.gpus * node.replicas for node in graph.nodes)
    if wanted_gpus > resources.get("GPU", 0):
        raise ValueError(f"the experts ask for {wanted_gpus:g} GPUs and the cluster has {resources.get('GPU', 0):g}")
    if placement == "fused" or (placement == "auto" and not wanted_gpus):
        return Fused(graph, lanes or max(1, int(resources.get("CPU", 1))))
    wanted = sum(node.cpus * node.replicas for node in graph.nodes)
    scale = min(1.0, EXPERTS_SHARE * resources.get("CPU", 1) / wanted)
    if scale < 1:
        logger.warning("the nodes ask for %g CPUs of %g: each gets %.0f %%", wanted, resources["CPU"], scale * 100)
    return Split(graph, scale)


def cluster_resources() -> dict[str, float]:
    """CPUs, GPUs and bytes of memory that Ray knows of, by Ray's names."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


class LaneActor:
    """Hosts a lane."""

    def __init__(self, graph: Graph) -> None:
        self._lane = Lane(graph)

    def ready(self) -> int:
        return os.getpid()

    def run(self, items: Sequence[Item]) -> tuple[list[Any], dict[str, float]]:
        result = self._lane(items)
        return result.values, dict(result.seconds)


class NodeActor:
    """Hosts one node's operator."""

    def __init__(self, node: Node) -> None:
        self._name = node.name
        self._operator = node.build()

    def ready(self) -> int:
        return os.getpid()

    def run(self, *inputs: list[Any]) -> tuple[list[Any], dict[str, float]]:
        before = cpu_seconds(self._operator)
        values = self._operator(*inputs)
        return values, {self._name: cpu_seconds(self._operator) - before}

    def __del__(self) -> None:
        with suppress(AttributeError):  # the constructor may have failed before there was an operator
            close(self._operator)


def _node_pool(node: Node, scale: float) -> Pool:
    actor = ray.remote(num_cpus=node.cpus * scale, num_gpus=node.gpus, max_restarts=0, max_task_retries=0)(NodeActor)
    return Pool(node.name, node.replicas, lambda: actor.remote(node))


async def _value(reference: Any) -> list[Any]:
    try:
        value: list[Any] = await reference
    except RayError as error:
        raise DiedError(f"a result was lost: {type(error).__name__}") from error
    return value
