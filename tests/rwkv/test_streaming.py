"""Open streams: what a state remembers survives forking, saving and rolling back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from capitoline.modalities.rwkv.engine import Engine
from capitoline.modalities.rwkv.size import Size
from capitoline.modalities.rwkv.state import State
from capitoline.modalities.rwkv.streaming import Streams, fork, restore, save
from tests.rwkv.official import random_batch, random_model

SIZE = Size(500, 128, 2)


@pytest.fixture(scope="module")
def streams() -> Streams:
    return Streams(Engine(random_model(SIZE), torch.float32))


def tokens(count: int, seed: int = 0) -> list[int]:
    ids: list[int] = random_batch(500, [count], seed)[0].tolist()
    return ids


def test_a_forked_prefix_is_as_if_every_stream_had_read_it(streams: Streams) -> None:
    prefix, ends = tokens(30), [tokens(5, 1), [], tokens(9, 2)]
    forked, _ = streams.feed(fork(streams.start(prefix), 3), ends)
    whole, _ = streams.feed(State.zeros(SIZE, 3), [prefix + end for end in ends])
    for after, full in zip(forked, whole, strict=True):
        torch.testing.assert_close(after, full[30:], atol=2e-5, rtol=0)


def test_rolling_back_is_keeping_the_state_before(streams: Streams) -> None:
    before = streams.start(tokens(10))
    first, _ = streams.feed(before, [tokens(8, 3)])
    streams.feed(before, [tokens(8, 4)])
    again, _ = streams.feed(before, [tokens(8, 3)])
    assert torch.equal(first[0], again[0])


def test_a_saved_state_resumes_where_it_was(streams: Streams, tmp_path: Path) -> None:
    _, state = streams.feed(State.zeros(SIZE, 2), [tokens(12), tokens(3, 1)])
    save(state, tmp_path / "open.safetensors")
    found = restore(tmp_path / "open.safetensors", SIZE)
    expected, _ = streams.feed(state, [tokens(4), []])
    resumed, _ = streams.feed(found, [tokens(4), []])
    assert torch.equal(expected[0], resumed[0])


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    save(State.zeros(Size(500, 64, 2), 1), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="another shape"):
        restore(tmp_path / "other.safetensors", SIZE)
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(ValueError, match="holds no states"):
        restore(tmp_path / "broken.safetensors", SIZE)


def test_a_state_takes_as_many_bytes_as_documented() -> None:
    for size, documented in ((Size(0, 256, 4), 270_336), (Size(0, 768, 12), 2_433_024)):
        fields = State.zeros(size, 1).tensors
        assert sum(field.numel() * field.element_size() for field in fields) == size.state_bytes == documented


def test_streams_without_a_chunk_are_refused(streams: Streams) -> None:
    with pytest.raises(ValueError, match="1 chunks for 2 streams"):
        streams.feed(State.zeros(SIZE, 2), [[1]])
