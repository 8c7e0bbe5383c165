"""A Ray cluster of two nodes on loopback. The driver is at home on the head; the other can be killed."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import psutil

from tests.faults.jobs import strike

START_ATTEMPTS = 3
"""Ray gives a node 30 s to start, which a machine busy with anything else may exceed."""


class Nodes:
    """Starts when it is first asked for its address. A node that was killed is replaced, as a cloud would."""

    @property
    def address(self) -> str:
        address: str = self._cluster.address
        return address

    def raylets(self) -> list[int]:
        """Process ids under which all actors run."""
        return [_raylet(node) for node in (self._cluster.head_node, *self._cluster.worker_nodes)]

    def kill(self) -> None:
        """All processes of the node beside the head, at once; another one takes its place."""
        (node,) = self._cluster.worker_nodes
        raylet = psutil.Process(_raylet(node))
        strike([raylet, *raylet.children(recursive=True)])
        self._cluster.remove_node(node, allow_graceful=False)
        _add_node(self._cluster)

    def close(self) -> None:
        if "_cluster" in vars(self):
            self._cluster.shutdown()

    @cached_property
    def _cluster(self) -> Any:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        _add_node(cluster, include_dashboard=False)
        _add_node(cluster)
        return cluster


def _add_node(cluster: Any, **arguments: Any) -> None:
    for attempt in range(START_ATTEMPTS):
        try:
            cluster.add_node(num_cpus=1, **arguments)
        except Exception:
            if attempt == START_ATTEMPTS - 1:
                raise
        else:
            return


def _raylet(node: Any) -> int:
    process: int = node.all_processes["raylet"][0].process.pid
    return process
