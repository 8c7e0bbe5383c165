"""A decoder that no file can take down: it works in a process of its own, under limits, and is replaced.

The process answers item by item, so when it dies or stalls, the first item without an
answer is the culprit; it becomes an `error`, and a fresh process goes on with the rest.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

from capitoline.modalities.decoding.confined import ending, environment
from capitoline.modalities.decoding.limits import DecodeLimits, Sampling
from capitoline.modalities.decoding.wire import READY, dump_items, dump_limits, load_decoded
from capitoline.modalities.schema import Decoded, Failure, Item, Outcome

START_SECONDS = 60.0
"""For a process to start, on a machine busy with anything else; usually a quarter of a second."""
EXIT_SECONDS = 5.0
"""For a process that has closed its pipe to end, before that is taken for a stall as well."""
ATTEMPTS = 2
"""A crash is tried once more in a fresh process: the killer may have meant another (out of memory, a person)."""


class _EndedError(Exception):
    """The decoder's process ended or was ended, and why."""


class _StalledError(_EndedError):
    """It did not answer in time; trying again would cost as much again."""


class GuardedDecoder:
    """The same call as `Decoder`, and no item can end or stall it.

    `submit` decodes in the background, so that one batch is decoded while the one before
    is rated. Batches are decoded one after another, in the order of their submission.
    """

    def __init__(self, limits: DecodeLimits, sampling: Sampling) -> None:
        self._limits, self._sampling = limits, sampling
        self._process: _Process | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")
        self.cpu_seconds = 0.0
        """Spent by the decoder's processes on all items so far; no clock of this process counts them."""

    def __call__(self, items: Sequence[Item]) -> list[Decoded]:
        """One decoded item each, in order."""
        return self.submit(items).result()

    def submit(self, items: Sequence[Item]) -> Future[list[Decoded]]:
        """Starts decoding a batch; the future's result is what the call returns."""
        return self._thread.submit(self._decode, tuple(items))

    def close(self) -> None:
        """Ends the process at once; a batch in progress is abandoned."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        self._end()

    def __enter__(self) -> GuardedDecoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decode(self, items: Sequence[Item]) -> list[Decoded]:
        done: list[Decoded] = []
        crashes = 0  # of the first item that is not done
        while len(done) < len(items):
            before = len(done)
            try:
                self._decode_into(done, items)
            except _EndedError as error:
                self._end()
                if self._closed:
                    raise
                crashes = crashes + 1 if len(done) == before else 1
                if crashes == ATTEMPTS or isinstance(error, _StalledError):
                    done.append(self._lost(items[len(done)], str(error)))
                    crashes = 0
        return done

    def _decode_into(self, done: list[Decoded], items: Sequence[Item]) -> None:
        """Decodes the items that are not done, and appends each as it comes."""
        process = self._running()
        process.send(dump_items(items[len(done) :]), self._limits.item_seconds)
        while len(done) < len(items):
            decoded, seconds = process.receive(items[len(done)], self._limits.item_seconds)
            self.cpu_seconds += seconds
            done.append(decoded)

    def _lost(self, item: Item, reason: str) -> Decoded:
        """An item that could not be decoded, digested at least, if reading it ends."""
        failure = Failure(Outcome.ERROR, reason)
        try:
            process = self._running()
            process.send(dump_items([item], digest_only=True), self._limits.item_seconds)
            digested, _ = process.receive(item, self._limits.item_seconds)
        except _EndedError:
            self._end()
            return Decoded(item, digest="", text=item.text, tags=item.tags, unreadable=(failure,))
        return replace(digested, unreadable=(*digested.unreadable, failure))

    def _running(self) -> _Process:
        self._process = self._process or _Process(self._limits, self._sampling)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


class _Process:
    """One process of `decoder_process`, and the pipes to it."""

    def __init__(self, limits: DecodeLimits, sampling: Sampling) -> None:
        command = [sys.executable, "-P", "-m", "capitoline.modalities.decoding.decoder_process"]
        self._process = subprocess.Popen(  # noqa: S603 our own interpreter and module
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipes = self._process.stdin, self._process.stdout
        self._input, self._output = (pipe.fileno() for pipe in self._pipes)
        os.set_blocking(self._input, False)
        self.pid = self._process.pid
        try:
            self.send(dump_limits(limits, sampling), START_SECONDS)
            self._read(len(READY))
        except _EndedError as error:
            self.end()
            module = command[-1]
            raise RuntimeError(f"the decoder's process cannot start: {error}; `python -m {module}` says why") from error

    def send(self, line: bytes, seconds: float) -> None:
        """Hands over a request within `seconds`."""
        self._allow(seconds)
        view = memoryview(line)
        try:
            while view:
                self._wait_for(self._input, select.POLLOUT)
                view = view[os.write(self._input, view) :]
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self, item: Item, seconds: float) -> tuple[Decoded, float]:
        """The next answer, which is about `item`, and its CPU seconds."""
        self._allow(seconds)
        try:
            return load_decoded(item, self._read)
        except (ValueError, TypeError, KeyError, AssertionError) as error:
            raise _EndedError(f"the decoder's answer makes no sense: {error}") from error

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        """Ends the process and waits for it, so that no zombie is left."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            pipe.close()

    def _allow(self, seconds: float) -> None:
        self._allowed, self._deadline = seconds, time.monotonic() + seconds

    def _wait_for(self, pipe: int, event: int) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(1_000 * max(0.0, self._deadline - time.monotonic())):
            raise _StalledError(f"took longer than {self._allowed:g} seconds")

    def _read(self, size: int) -> bytearray:
        """Exactly `size` bytes, by the deadline."""
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            self._wait_for(self._output, select.POLLIN)
            count = os.readv(self._output, [view])
            if not count:
                raise self._ended()
            view = view[count:]
        return buffer

    def _ended(self) -> _EndedError:
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return _EndedError("the decoder stopped answering")
        if code == -signal.SIGXCPU:
            return _StalledError(f"took more than {self._allowed:g} seconds of CPU")
        return _EndedError(f"the decoder {ending(code)}")
