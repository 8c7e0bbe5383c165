"""What waits is bounded, in number and in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

from capitoline.modalities.schema import File, Item
from capitoline.pipelines.watching.arrivals import Arrival
from capitoline.pipelines.watching.batcher import Batcher, BatchLimits

FOR_EVER = 3_600.0


def batcher(
    batch_items: int = 4, batch_bytes: int = 100, max_wait: float = FOR_EVER, queue_items: int = 8, characters: int = 64
) -> Batcher:
    return Batcher(BatchLimits(batch_items, batch_bytes, max_wait, queue_items, characters), Event())


def arrival(name: int, text: str = "", size: int = 0) -> Arrival:
    return Arrival(Item(str(name), text, files=(File("", "", size),)))


def ids(batch: list[Arrival]) -> list[int]:
    return [int(one.item.id) for one in batch]


def in_background(work: Callable[[], object]) -> Thread:
    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_full_batch_does_not_wait() -> None:
    gathered = batcher()
    for name in range(5):
        gathered.put(arrival(name))
    assert ids(gathered.next()) == [0, 1, 2, 3]
    assert gathered.next(patient=False) == []


def test_a_batch_is_full_before_the_item_that_would_make_it_too_large() -> None:
    gathered = batcher()
    for name, size in enumerate((60, 60, 1_000, 1)):
        gathered.put(arrival(name, size=size))
    assert [ids(gathered.next()) for _ in range(3)] == [[0], [1], [2]]


def test_an_item_waits_for_others_as_long_as_it_may_and_no_longer() -> None:
    gathered = batcher(max_wait=0.5)
    gathered.put(arrival(0))
    started = time.monotonic()
    assert gathered.next(patient=False) == []
    assert ids(gathered.next()) == [0]
    assert 0.45 <= time.monotonic() - started < 5


def test_more_items_than_may_wait_hold_the_source_back() -> None:
    gathered = batcher(queue_items=3)
    taken: list[int] = []

    def bring() -> None:
        for name in range(10):
            gathered.put(arrival(name))
            taken.append(name)

    producer = in_background(bring)
    deadline = time.monotonic() + 10
    while gathered.depth < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    producer.join(0.3)
    assert taken == [0, 1, 2]
    gathered.close()
    producer.join(10)
    assert not producer.is_alive()
    assert ids(gathered.next()) == [0, 1, 2]


def test_long_texts_hold_the_source_back_before_there_are_many_of_them() -> None:
    gathered = batcher(characters=10)
    gathered.put(arrival(0, "123456"))
    producer = in_background(lambda: gathered.put(arrival(1, "12345")))
    producer.join(0.3)
    assert (gathered.depth, producer.is_alive()) == (1, True)
    gathered.close()


def test_a_text_longer_than_all_that_may_wait_waits_alone() -> None:
    gathered = batcher(characters=10)
    assert gathered.put(arrival(0, "1" * 1_000))
    gathered.close()
    assert ids(gathered.next()) == [0]


def test_at_the_end_what_waits_is_given_out_without_waiting() -> None:
    gathered = batcher()
    gathered.put(arrival(0))
    gathered.close()
    assert ids(gathered.next()) == [0]
    assert gathered.next() == []
    assert not gathered.put(arrival(1))


def test_what_will_arrive_again_is_not_given_out_once_the_watch_stops() -> None:
    stopping = Event()
    gathered = Batcher(BatchLimits(4, 100, FOR_EVER, 8), abandoned=stopping)
    gathered.put(arrival(0))
    stopping.set()
    assert gathered.next() == []


def test_the_source_s_failure_comes_after_what_it_had_given() -> None:
    gathered = batcher()
    gathered.put(arrival(0))
    gathered.close(OSError("the store went away"))
    assert ids(gathered.next()) == [0]
    try:
        gathered.next()
    except OSError as error:
        assert str(error) == "the store went away"
    else:
        raise AssertionError("the failure was swallowed")
