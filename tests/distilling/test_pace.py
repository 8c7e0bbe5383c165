"""No minute holds more requests or tokens than the limits say, whatever the number of threads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from capitoline.pipelines.distillation.pace import Pace


def moments(pace: Pace, tokens: int, count: int) -> list[float]:
    def go(_: int) -> float:
        pace.wait(tokens)
        return time.monotonic()

    with ThreadPoolExecutor(4) as pool:
        return sorted(pool.map(go, range(count)))


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [(Pace(1200, None), 0.05), (Pace(None, 60_000), 0.1), (Pace(1200, 60_000), 0.1), (Pace(600, 600_000), 0.1)],
)
def test_threads_take_turns(pace: Pace, seconds: float) -> None:
    started = time.monotonic()
    assert moments(pace, tokens=100, count=5)[-1] - started >= 4 * seconds


def test_without_limits_nobody_waits() -> None:
    found = moments(Pace(None, None), 10_000, 50)
    assert found[-1] - found[0] < 0.5


def test_tokens_that_were_not_used_are_given_back() -> None:
    pace = Pace(None, 6_000)
    pace.wait(6_000)
    pace.correct(-6_000)
    started = time.monotonic()
    pace.wait(10)
    assert time.monotonic() - started < 0.5


def test_a_pause_holds_everybody() -> None:
    pace = Pace(None, None)
    started = time.monotonic()
    pace.pause(0.3)
    assert moments(pace, 1, 4)[0] - started >= 0.3
