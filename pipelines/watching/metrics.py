"""Figures of a watch for Prometheus, and the small web server that it scrapes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from capitoline.modalities.schema import FAILURES
from capitoline.pipelines.records import Record
from capitoline.pipelines.report.causes import OTHERS, gist

CAUSES = 100
"""Different causes that are told apart: each is a time series, and hostile files must not make thousands of them."""
LATENCIES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """What is counted. Served only if asked."""

    def __init__(self, depth: Callable[[], float], oldest: Callable[[], float]) -> None:
        """`depth` and `oldest` give the items that wait and the seconds that the oldest of them has waited."""
        self._registry = CollectorRegistry()
        self._items = self._counter("items", "Items committed, by rating.", "rating")
        self._failures = self._counter(
            "failures", "Parts of items that could not be read or rated.", "outcome", "cause"
        )
        self._seconds = self._counter("stage_seconds", "CPU seconds by stage of the graph.", "stage")
        self._latency = Histogram(
            "capitoline_latency_seconds",
            "From an item's arrival until it is committed.",
            buckets=LATENCIES,
            registry=self._registry,
        )
        self._gauge("queue_items", "Items that wait to be rated.", depth)
        self._gauge("oldest_waiting_seconds", "How long the oldest of them has been waiting.", oldest)
        self._causes: set[str] = set()

    def committed(self, records: Sequence[Record], arrived: Sequence[float], seconds: Mapping[str, float]) -> None:
        """Counts a batch that is in the output now; `arrived` on the monotonic clock."""
        for record in records:
            self._items.labels(record.verdict.rating).inc()
            for outcome, cause in {(one.outcome, gist(one.reason)) for one in record.verdict.evidence}:
                if outcome in FAILURES:
                    self._failures.labels(str(outcome), self._told_apart(cause)).inc()
        for stage, spent in seconds.items():
            self._seconds.labels(stage).inc(max(0.0, spent))
        now = time.monotonic()
        for since in arrived:
            self._latency.observe(now - since)

    def serve(self, port: int, host: str) -> int:
        """Serves the figures at `/metrics` in a thread of their own; the port, chosen freely if `port` is 0.

        Raises:
            OSError: the port is taken.
        """
        server, _ = start_http_server(port, host, self._registry)
        return int(server.server_port)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"capitoline_{name}", meaning, labels, registry=self._registry)

    def _gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(f"capitoline_{name}", meaning, registry=self._registry).set_function(value)

    def _told_apart(self, cause: str) -> str:
        if cause not in self._causes and len(self._causes) >= CAUSES:
            return OTHERS
        self._causes.add(cause)
        return cause
