"""The graph and its two lowerings, with operators that crash, hang and raise in real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import UNRATED, Decoded, Evidence, Item, Modality, Outcome
from capitoline.pipelines.assembly import build_decider
from capitoline.pipelines.batches import Assembler, micro_batches
from capitoline.pipelines.graph import ITEMS, Batch, Graph, Node
from capitoline.pipelines.process import ProcessRunner, Runner
from capitoline.pipelines.records import DECODE, Decide, Record, culprit


class Read:
    """Decodes nothing: the text is all there is."""

    def __call__(self, items: Sequence[Item]) -> list[Decoded]:
        return [Decoded(item, digest=item.id, text=item.text) for item in items]


class Misbehave:
    """Rates by the number of exclamation marks, unless the text asks for trouble."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, items: Sequence[Decoded]) -> list[Evidence]:
        return [self._one(item.text or "") for item in items]

    def _one(self, text: str) -> Evidence:
        if text == f"kill {self.name}":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == f"hang {self.name}":
            time.sleep(1_000)
        if text == f"raise in {self.name}":
            raise RuntimeError("an operator that raises")
        return Evidence(self.name, Modality.TEXT, Outcome.RATED, severity=min(4, text.count("!")))


def loud_and_quiet() -> Graph:
    """Two experts side by side between reading and deciding."""
    return Graph(
        (
            Node(DECODE, (ITEMS,), Read),
            Node("loud", (DECODE,), partial(Misbehave, "loud")),
            Node("quiet", (DECODE,), partial(Misbehave, "quiet")),
            Node("decide", (DECODE, "loud", "quiet"), decide),
        )
    )


def decide() -> Decide:
    return Decide(build_decider(Settings()))


def item(number: int, text: str = "") -> Item:
    return Item(id=f"item {number}", text=text or "!" * (number % 6))


def fail_to_build() -> Read:
    raise ValueError("no such weights")


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    import ray
    from ray import cloudpickle

    from capitoline.pipelines.cluster import start_ray

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    start_ray("")
    yield
    ray.shutdown()


def ratings(runner: Runner, items: Sequence[Item], batch: int = 8) -> dict[str, Record]:
    found = runner.run(micro_batches(0, items, batch, 1 << 20))
    return {record.item.id: record for _, result in found for record in result.values}


def on_ray(placement: str, deadline: float = 30.0) -> Runner:
    from capitoline.pipelines.cluster import ClusterRunner
    from capitoline.pipelines.placement import place

    where = place(loud_and_quiet(), placement, lanes=2)
    return ClusterRunner(
        where, window=4, deadline=lambda count: deadline, culprit=partial(culprit, build_decider(Settings()))
    )


def test_a_node_reads_only_what_is_declared_before_it_so_a_graph_has_no_cycle() -> None:
    with pytest.raises(ValueError, match="reads later"):
        Graph((Node("early", ("later",), Read), Node("later", (ITEMS,), Read)))
    with pytest.raises(ValueError, match="two nodes"):
        Graph((Node("twin", (ITEMS,), Read), Node("twin", (ITEMS,), Read)))


def test_the_process_rates_every_item_once_in_order() -> None:
    items = [item(number) for number in range(50)]
    found = ratings(ProcessRunner(loud_and_quiet()), items)
    assert list(found) == [item.id for item in items]
    assert all(record.verdict.severity == min(4, len(record.text or "")) for record in found.values())


def test_the_process_decodes_a_batch_ahead_and_no_more() -> None:
    taken = 0

    def batches() -> Iterator[Batch]:
        nonlocal taken
        for number in range(10):
            taken += 1
            yield Batch(0, (item(number),))

    run = ProcessRunner(loud_and_quiet()).run(batches())
    next(run)
    assert taken == 2
    run.close()  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["fused", "split"])
def test_ray_gives_what_the_process_gives(local_ray: None, placement: str) -> None:
    items = [item(number) for number in range(60)]
    here, there = ratings(ProcessRunner(loud_and_quiet()), items), ratings(on_ray(placement), items)
    assert here == there


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["fused", "split"])
@pytest.mark.parametrize("trouble", ["kill loud", "hang quiet", "raise in loud"])
def test_an_item_that_ends_its_process_is_an_error_and_its_neighbours_are_rated(
    local_ray: None, placement: str, trouble: str
) -> None:
    items = [item(number, trouble if number == 11 else "") for number in range(24)]
    found = ratings(on_ray(placement, deadline=6.0), items)
    assert len(found) == 24
    bad = found.pop("item 11")
    assert bad.verdict.rating == UNRATED
    assert bad.verdict.failed
    assert bad.verdict.needs_review
    assert all(record.verdict.rating != UNRATED for record in found.values())


@pytest.mark.slow
def test_an_operator_that_cannot_be_built_ends_the_job_and_says_why(local_ray: None) -> None:
    from capitoline.pipelines.cluster import ClusterRunner
    from capitoline.pipelines.placement import place

    broken = Graph((Node("broken", (ITEMS,), fail_to_build),))
    runner = ClusterRunner(place(broken, "split", 1), 2, lambda count: 30.0, lambda item, reason: reason)
    with pytest.raises(RuntimeError, match="broken cannot start: ValueError: no such weights"):
        ratings(runner, [item(1)])


def test_micro_batches_hold_their_limits_and_a_large_item_travels_alone() -> None:
    from capitoline.modalities.schema import File

    sizes = [10, 20, 900, 5, 5, 5, 5]
    items = [Item(id=str(n), files=(File("f", "f", size),)) for n, size in enumerate(sizes)]
    cut = [[item.id for item in batch.items] for batch in micro_batches(0, items, most_items=3, most_bytes=100)]
    assert cut == [["0", "1"], ["2"], ["3", "4", "5"], ["6"]]


def test_a_shard_is_whole_when_its_last_record_comes_and_keeps_its_order() -> None:
    items = [item(number) for number in range(6)]
    records = list(ratings(ProcessRunner(loud_and_quiet()), items).values())
    assembler = Assembler()
    assembler.expect(3, items)
    assert assembler.add(3, records[4:]) is None
    assert assembler.add(3, records[:4]) == records
