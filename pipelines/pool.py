"""A pool of Ray actors that outlives any of them.

One call is in flight at an actor, so a deadline measures that call and a crash names it;
further calls wait here, in the driver. Ray restarts nothing (`max_restarts=0`): with its own
restarts a lost actor stays pending for ever. The pool replaces what died or hung.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

MOST_FAILED_STARTS = 3
"""Actors in a row whose constructor raised before the job gives up."""
MOST_LOST_STARTS = 20
"""Actors in a row that died before they were ready; a dying node takes several with it."""


class CallError(Exception):
    """A call did not return: its process died, it took too long, or its code raised."""


class DiedError(CallError):
    """The process died, or the node that held its input, perhaps by no fault of what it was doing."""


class Pool:
    """`size` actors of one kind, made by `start`."""

    def __init__(self, name: str, size: int, start: Callable[[], Any]) -> None:
        self.name = name
        self.size = size
        self.alive = 0
        self._start = start
        self._idle: asyncio.Queue[Any] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()
        self._failed_starts: list[RayError] = []
        """Since an actor became ready last."""

    def fill(self) -> None:
        """Starts actors until there are `size`; they join the pool when they are ready."""
        while self.alive + len(self._starting) < self.size:
            task = asyncio.get_running_loop().create_task(self._add())
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def call(self, deadline: float, *inputs: Any) -> tuple[Any, dict[str, float]]:
        """Runs `inputs` through an actor: a reference to its values, and its seconds by stage.

        Raises:
            CallError: the actor died, raised, or was still busy `deadline` seconds after dispatch.
            RuntimeError: the pool cannot start any actor.
        """
        actor = await self._take()
        values, seconds = actor.run.options(num_returns=2).remote(*inputs)
        try:
            spent = await asyncio.wait_for(_fetch(seconds), deadline)
        except TimeoutError:
            self._discard(actor)
            raise CallError(f"{self.name} took longer than {deadline:.0f} s") from None
        except RayTaskError as error:
            self._idle.put_nowait(actor)
            raise CallError(f"{self.name} raised {error.cause!r}") from error
        except RayActorError as error:
            self._discard(actor)
            raise DiedError(f"the process of {self.name} died") from error
        except RayError as error:
            self._idle.put_nowait(actor)
            raise DiedError(f"{self.name} lost its input: {type(error).__name__}") from error
        self._idle.put_nowait(actor)
        return values, spent

    def close(self) -> None:
        for task in self._starting:
            task.cancel()
        while not self._idle.empty():
            with suppress(Exception):
                ray.kill(self._idle.get_nowait())

    async def _take(self) -> Any:
        while True:
            self._refuse_if_broken()
            try:
                return await asyncio.wait_for(self._idle.get(), 1.0)
            except TimeoutError:
                self.fill()

    async def _add(self) -> None:
        actor = self._start()
        try:
            await _fetch(actor.ready.remote())
        except RayError as error:
            self._failed_starts.append(error)
            return
        self._failed_starts.clear()
        self.alive += 1
        self._idle.put_nowait(actor)

    def _refuse_if_broken(self) -> None:
        raised = [one for one in self._failed_starts if isinstance(one, RayActorError) and one.actor_init_failed]
        if len(raised) >= MOST_FAILED_STARTS or len(self._failed_starts) >= MOST_LOST_STARTS:
            error = (raised or self._failed_starts)[-1]
            cause = str(error).strip().splitlines()[-1]  # the rest is Ray's traceback of it
            raise RuntimeError(f"{self.name} cannot start: {cause}") from error

    def _discard(self, actor: Any) -> None:
        self.alive -= 1
        with suppress(Exception):  # it may be dead already, and that is what is wanted
            ray.kill(actor)
        self.fill()


async def _fetch(reference: Any) -> Any:
    return await reference
