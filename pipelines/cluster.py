"""The graph on Ray: a bounded window of micro-batches in flight, and no process that must not die."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray

from capitoline.modalities.schema import Item
from capitoline.pipelines.graph import Batch, Result
from capitoline.pipelines.lane import added
from capitoline.pipelines.placement import Placement, cluster_resources
from capitoline.pipelines.pool import CallError, DiedError
from capitoline.pipelines.process import Runner

SILENCE = 60.0
"""Seconds without a finished batch after which the job says what it is waiting for."""

STARTS = 3
"""Of Ray, which gives its processes 30 s to come up; a machine that is busy with anything else may need longer."""
ATTEMPTS = 3
"""Of a whole batch whose processes die: a node that goes may take a process with each of the first two."""

logger = logging.getLogger("capitoline")


class ClusterRunner(Runner):
    """Keeps a bounded window of micro-batches in flight, and survives the death of any actor."""

    def __init__(
        self,
        placement: Placement,
        window: int,
        deadline: Callable[[int], float],
        culprit: Callable[[Item, str], Any],
        owned: bool = False,
    ) -> None:
        """`deadline(n)` is the seconds that n items may take; `culprit(item, reason)` is the value of an
        item that kills or hangs its process when it runs alone, twice. An `owned` Ray is shut down at
        the end of the run."""
        self._placement, self._window, self._deadline, self._culprit = placement, window, deadline, culprit
        self._owned = owned

    def run(self, batches: Iterator[Batch]) -> Iterator[tuple[Batch, Result]]:
        loop = asyncio.new_event_loop()
        flying: dict[asyncio.Task[Result], Batch] = {}
        try:
            while True:
                while len(flying) < self._window and (batch := next(batches, None)) is not None:
                    flying[loop.create_task(self._survive(batch))] = batch
                if not flying:
                    return
                done, _ = loop.run_until_complete(
                    asyncio.wait(flying, timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED)
                )
                if not done:
                    self._say_what_is_missing()
                for task in done:
                    yield flying.pop(task), task.result()
        finally:
            for task in flying:
                task.cancel()
            for pool in self._placement.pools:
                pool.close()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            if self._owned:
                ray.shutdown()

    async def _survive(self, batch: Batch) -> Result:
        for pool in self._placement.pools:
            pool.fill()
        try:
            return await self._again_if_it_died(batch)
        except CallError as error:
            logger.warning("%s; its %d items run again one by one", error, len(batch.items))
        alone = [await self._alone(item) for item in batch.items]
        seconds: dict[str, float] = {}
        for result in alone:
            seconds = added(seconds, result.seconds)
        return Result([value for result in alone for value in result.values], seconds)

    async def _again_if_it_died(self, batch: Batch) -> Result:
        """The same batch again, so that a kill from outside changes no result by so much as a rounding."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._attempt(batch.items)
            except DiedError as error:
                logger.warning("%s; its %d items run again", error, len(batch.items))
        return await self._attempt(batch.items)

    async def _alone(self, item: Item) -> Result:
        reason = ""
        for _ in range(2):
            try:
                return await self._attempt((item,))
            except CallError as error:
                reason = str(error)
        logger.warning("%s: %s", item.id, reason)
        return Result([self._culprit(item, reason)])

    async def _attempt(self, items: Sequence[Item]) -> Result:
        return await self._placement(items, self._deadline(len(items)))

    def _say_what_is_missing(self) -> None:
        without = [pool.name for pool in self._placement.pools if pool.alive == 0]
        if without:
            logger.warning(
                "nothing has finished for %.0f s: no actor for %s could start; the cluster has %s",
                SILENCE,
                ", ".join(without),
                cluster_resources(),
            )


def start_ray(address: str) -> bool:
    """Connects to `address`, or starts a Ray of its own on this machine. True if it must be shut down.

    Raises:
        ConnectionError: no cluster at `address`.
        RuntimeError: this machine could not start Ray.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address:
        ray.init(address=address, log_to_driver=False)
    else:
        _start_local()
    return True


def _start_local() -> None:
    """`address="local"` is said outright: without it `ray.init` attaches to whatever cluster it finds."""
    for attempt in range(1, STARTS + 1):
        try:
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises nothing narrower when its processes are late
            if attempt == STARTS:
                raise RuntimeError(f"Ray cannot start here: {error}") from error
            logger.warning("Ray did not start (%s); trying again", error)
        else:
            return
