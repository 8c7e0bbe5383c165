"""Items a second as nodes are added: a real Ray of up to 16 nodes on this machine, and experts that only sleep.

The graph, the driver, the tables and Ray are the real ones; an expert takes the time that one on a core of its own
would, without taking the core. What limits a cluster first then shows: how much CPU the one driver spends on an item.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import ray
from archive_jobs import Scale
from harness import Row
from ray.cluster_utils import Cluster

from capitoline.configs.settings import Settings, TextExpert
from capitoline.modalities.schema import Decoded, Evidence, Item, Modality, Outcome
from capitoline.pipelines.assembly import job_graph
from capitoline.pipelines.batches import Assembler, micro_batches
from capitoline.pipelines.cluster import ClusterRunner
from capitoline.pipelines.graph import Graph, Node
from capitoline.pipelines.placement import place
from capitoline.pipelines.records import DECODE, timed
from capitoline.pipelines.store import Store

NODES = (1, 2, 4, 8, 16)
SECONDS_AN_ITEM = 0.1
"""What a poster takes on a core, all experts together."""
ITEMS_A_NODE = 320
BATCH, SHARD = 32, 1_024
MEMORY = 80 << 20
"""Bytes of a node's object store."""


@dataclass(frozen=True, slots=True)
class Measured:
    items_a_second: float
    driver_seconds_an_item: float
    """CPU of the process that dispatches, collects and commits."""


class Sleeping:
    """An expert that takes its time and none of the CPU's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        time.sleep(SECONDS_AN_ITEM * len(items))
        probabilities = (0.6, 0.1, 0.1, 0.1, 0.1)
        return [Evidence(self._name, Modality.TEXT, Outcome.RATED, "", probabilities, 0) for _ in items]


class Texts:
    """Items of text are decoded by giving it back."""

    def __call__(self, items: Sequence[Item]) -> list[Decoded]:
        return [Decoded(item, "", item.text) for item in items]


def node_rows(scale: Scale) -> Iterator[Row]:
    measured = {count: on_nodes(count, scale.of(ITEMS_A_NODE), scale.folder) for count in NODES}
    for count, one in measured.items():
        print(
            f"      {count:2} nodes {one.items_a_second:8.1f} items/s, driver {one.driver_seconds_an_item * 1e3:.2f} ms"
        )
    for count in NODES[-2:]:
        yield _row(count, measured[count], measured[NODES[0]])


def _row(count: int, many: Measured, alone: Measured) -> Row:
    limit = 1.0 / many.driver_seconds_an_item
    note = (
        f"experts sleep {SECONDS_AN_ITEM} s an item; the first limit is the one driver: at its CPU seconds an item "
        f"{limit:,.0f} items/s, {limit * SECONDS_AN_ITEM:,.0f} lanes; "
        f"here the daemons of all nodes share {os.cpu_count()} cores"
    )
    return Row(
        f"{count} nodes (items/s)",
        f"{count} times one node",
        many.items_a_second,
        count * alone.items_a_second,
        ">= 0.9",
        note,
    )


def on_nodes(count: int, items_a_node: int, folder: Path) -> Measured:
    """A job over `count` nodes of one lane each, from when all lanes are there to its last batch."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": MEMORY})
    try:
        for _ in range(count - 1):
            cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        with tempfile.TemporaryDirectory(dir=folder) as out:
            return _measured(count, items_a_node * count, Path(out))
    finally:
        ray.shutdown()
        cluster.shutdown()


def _measured(lanes: int, items: int, out: Path) -> Measured:
    store, assembler = Store(out), Assembler()
    store.prepare()
    placement = place(sleeping_graph(), "fused", lanes)
    runner = ClusterRunner(placement, lanes + 2, lambda count: 60.0 + count, _lost)
    marks: list[tuple[float, float, int]] = []
    done = 0
    for batch, result in runner.run(_batches(items, assembler)):
        records = assembler.add(batch.shard, timed(result.values, result.seconds))
        if records is not None:
            store.commit(batch.shard, records)
        done += len(batch.items)
        if placement.pools[0].alive == lanes:
            marks.append((time.monotonic(), time.process_time(), done))
    assert store.count() == items
    (began, cpu_began, before), (ended, cpu_ended, after) = marks[0], marks[-1]
    return Measured((after - before) / (ended - began), (cpu_ended - cpu_began) / (after - before))


def sleeping_graph() -> Graph:
    """The graph of a job with one expert; its decoder and its expert are replaced."""
    graph = job_graph(Settings(experts=(TextExpert(),)))
    builds = {DECODE: Texts, "text": partial(Sleeping, "text")}
    return Graph(tuple(_with_build(node, builds) for node in graph.nodes))


def _with_build(node: Node, builds: dict[str, partial[Sleeping] | type[Texts]]) -> Node:
    return replace(node, build=builds[node.name]) if node.name in builds else node


def _batches(count: int, assembler: Assembler) -> Iterator:
    items = [Item(f"item-{number}", "A quiet film about two sisters and a lighthouse.") for number in range(count)]
    for shard, start in enumerate(range(0, count, SHARD)):
        mine = items[start : start + SHARD]
        assembler.expect(shard, mine)
        yield from micro_batches(shard, mine, BATCH, 1 << 20)


def _lost(item: Item, reason: str) -> None:
    raise RuntimeError(f"{item.id}: {reason}")
