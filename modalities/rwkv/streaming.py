"""Open streams: texts that arrive in pieces, thousands at once, each with a state of fixed size.

A state is a value: feeding gives a new one and leaves the old as it was. So a policy or a system prefix is paid for
once and forked, a wrong turn is rolled back by keeping the state before it, and a saved state resumes anywhere.
The cost of a token does not depend on how many came before. A stream's state takes `Size.state_bytes`:
270,336 bytes for 4×256, 2,433,024 for 12×768.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from capitoline.modalities.rwkv.engine import Engine
from capitoline.modalities.rwkv.packing import pack
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.state import State

FIELDS = ("time_shift", "channel_shift", "wkv")


class Streams:
    """Feeds open streams through an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, prefix: Sequence[int] = ()) -> State:
        """One stream that has read `prefix`."""
        return self.feed(State.zeros(self._engine.size, 1), [prefix])[1]

    def feed(self, state: State, chunks: Sequence[Sequence[int]]) -> tuple[list[Tensor], State]:
        """The next tokens of every stream, all in one batch; a chunk may be empty.

        Returns:
            hidden vectors (tokens of the chunk, C) of each stream, and the state after.

        Raises:
            ValueError: there are not as many chunks as streams.
        """
        if len(chunks) != state.streams:
            raise ValueError(
                f"{len(chunks)} chunks for {state.streams} streams: give each stream one, empty if need be"
            )
        ids, offsets = pack(chunks)
        hidden, after = self._engine.hidden(ids, offsets, state)
        return list(hidden.tensor_split(offsets[1:-1])), after


def fork(state: State, copies: int) -> State:
    """Each stream of `state` so many times, side by side."""
    return state.select(torch.arange(state.streams).repeat_interleave(copies))


def save(state: State, path: Path) -> None:
    """Write the states as safetensors."""
    save_file({name: field.contiguous() for name, field in zip(FIELDS, state.tensors, strict=True)}, path)


def restore(path: Path, size: Size) -> State:
    """Read saved states.

    Raises:
        ValueError: the file cannot be read, or its states belong to a model of another shape.
    """
    try:
        tensors = load_file(path)
        state = State(*(tensors[name] for name in FIELDS))
    except (OSError, KeyError, SafetensorError) as error:
        raise ValueError(f"{path} holds no states: {error}") from error
    expected = [field.shape for field in State.zeros(size, state.time_shift.shape[1]).tensors]
    if [field.shape for field in state.tensors] != expected:
        raise ValueError(f"the states in {path} belong to a model of another shape than {size}")
    return state
