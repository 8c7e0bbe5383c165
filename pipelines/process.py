"""The graph in this process: what a laptop and a few hundred items need, without Ray's 5 s of start."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from capitoline.pipelines.graph import Batch, Graph, Result
from capitoline.pipelines.lane import Lane


class Runner(Protocol):
    """Runs micro-batches through the graph."""

    def run(self, batches: Iterator[Batch]) -> Iterator[tuple[Batch, Result]]:
        """Each batch with its result, in whatever order they finish; takes no more batches than its window."""
        ...


class ProcessRunner(Runner):
    """One lane; the next batch is decoded (by the decoder's own process) while the experts rate this one."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def run(self, batches: Iterator[Batch]) -> Iterator[tuple[Batch, Result]]:
        lane = Lane(self._graph)
        batch = next(batches, None)
        with ThreadPoolExecutor(max_workers=1) as ahead:
            try:
                begun = ahead.submit(lane.begin, batch.items) if batch else None
                while batch is not None and begun is not None:
                    first = begun.result()
                    following = next(batches, None)
                    begun = ahead.submit(lane.begin, following.items) if following else None
                    yield batch, lane.finish(batch.items, first)
                    batch = following
            finally:
                lane.close()
