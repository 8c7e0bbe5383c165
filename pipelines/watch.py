"""`watch`: rates what arrives, in batches of bounded latency, each item once, until it is told to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread

from capitoline.configs.settings import Settings
from capitoline.modalities.schema import Item
from capitoline.pipelines.assembly import build_decider, build_shadow, checked_digests, job_graph, scan_limits
from capitoline.pipelines.fingerprint import WATCHED, differences, fingerprint, read_fingerprint, refuse_other_command
from capitoline.pipelines.graph import Result
from capitoline.pipelines.job import SPOOL
from capitoline.pipelines.lane import Lane
from capitoline.pipelines.lock import Lock, locked
from capitoline.pipelines.rating import report_on
from capitoline.pipelines.records import Record, culprit, timed
from capitoline.pipelines.report.summary import Summary
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.media import FolderMedia
from capitoline.pipelines.watching.admission import Admission
from capitoline.pipelines.watching.arrivals import Arrival, Source
from capitoline.pipelines.watching.batcher import Batcher, BatchLimits
from capitoline.pipelines.watching.folder import FolderSource, Patience
from capitoline.pipelines.watching.journal import Journal
from capitoline.pipelines.watching.kafka_address import SCHEME, KafkaAddress, read_properties
from capitoline.pipelines.watching.ledger import Ledger
from capitoline.pipelines.watching.lines import LineSource
from capitoline.pipelines.watching.metrics import Metrics
from capitoline.pipelines.watching.suspects import DEATHS, Suspects

STANDARD_INPUT = "-"

logger = logging.getLogger("capitoline")

Committed = Callable[[Sequence[Record]], None]
"""Called with the records of each batch once they are in the output."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched, and into which folder it is rated."""

    source: str
    """A folder, the prefix of an object store (fsspec URL), `-` for JSON lines on standard input, or a Kafka topic."""
    out: Path
    max_wait: float = 5.0
    """Seconds that an item waits for others to be rated with."""
    patience: Patience = field(default_factory=Patience)
    queue_items: int = 256
    """Items that may wait; beyond that the source is not read."""
    columns: Columns = field(default_factory=Columns)
    """What the fields of a JSON line or message mean."""
    media: str = "."
    """The folder in which the media of JSON lines lie."""
    allow_outside: bool = False
    """Whether JSON lines may name files outside that folder, and URLs."""
    kafka_properties: Path | None = None
    """A file of properties of the Kafka client, such as its credentials."""
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"


def watch(watched: Watched, settings: Settings, committed: Committed, stopping: Event) -> Summary | None:
    """Rates what arrives until the source ends or `stopping` is set, then writes the report.

    The same call again goes on where the committed parts end: nothing is rated twice. Returns
    the summary of all that the output holds, None if that is nothing.

    Raises:
        ValueError: the source cannot be watched, settings are unfit, or `out` holds something else.
        OSError: the output cannot be written (a full disk) or was removed, or the port of the metrics is taken.
    """
    _refuse_unfit(watched)
    weights = checked_digests(settings)
    with locked(watched.out) as lock:
        _claim(watched, settings, weights)
        started = time.monotonic()
        rated = _Watch(watched, settings, committed, stopping, lock).run()
        holds_any = any((watched.out / "ratings").glob("part-*.parquet"))
        return report_on(watched.out, settings, time.monotonic() - started, rated) if holds_any else None


def _refuse_unfit(watched: Watched) -> None:
    """Raises ValueError before there is a folder, for an address with a password would come into its fingerprint."""
    if watched.source.startswith(SCHEME):
        KafkaAddress.parse(watched.source)
        if find_spec("confluent_kafka") is None:
            raise ValueError("a Kafka topic needs the package confluent-kafka: pip install 'capitoline[kafka]'")
        read_properties(watched.kafka_properties)
    elif Path(watched.source).resolve() == watched.out.resolve():
        raise ValueError(f"{watched.out} is the folder that is watched; choose another --out, in it or elsewhere")


def _claim(watched: Watched, settings: Settings, weights: dict[str, str]) -> None:
    """Takes the folder for this source and configuration; raises ValueError if it holds anything else."""
    # A watch has no end, so its fingerprint names no number of items.
    new, old = fingerprint(settings, WATCHED + watched.source, 0, 0, weights), read_fingerprint(watched.out)
    if old is None:
        new.write(watched.out)
        return
    refuse_other_command(watched.out, old, new)
    if lines := differences(old, new):
        raise ValueError(
            f"{watched.out} holds the results of something else. Watch the same source with the same configuration "
            "to go on, or choose another --out. What differs:\n  " + "\n  ".join(lines)
        )


class _Watch:
    """One run: a thread reads the source, this one rates and commits."""

    def __init__(self, watched: Watched, settings: Settings, committed: Committed, stopping: Event, lock: Lock) -> None:
        running = settings.running
        limits = BatchLimits(running.batch_items, running.batch_bytes, watched.max_wait, watched.queue_items)
        self._settings, self._committed, self._stopping = settings, committed, stopping
        self._journal = Journal(watched.out, lock.check)
        ledger = Ledger(self._journal.rated())
        self._suspects = Suspects(watched.out, ledger.has, lock.check)
        self._source = _source(watched, settings, ledger, self._journal)
        # What a pipe has given will not come again: it is rated before the watch ends.
        self._batcher = Batcher(limits, abandoned=stopping if self._source.repeats else Event())
        self._metrics = Metrics(lambda: self._batcher.depth, lambda: self._batcher.oldest_wait)
        if watched.metrics_port is not None:
            port = self._metrics.serve(watched.metrics_port, watched.metrics_host)
            logger.warning("metrics: http://%s:%d/metrics", watched.metrics_host, port)

    def run(self) -> int:
        """How many items were rated."""
        Thread(target=self._feed, name="arrivals", daemon=True).start()
        lane, rated = Lane(job_graph(self._settings)), 0
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as ahead:
            try:
                begun = self._begin(lane, ahead)
                while begun is not None:
                    batch, first = begun[0], begun[1].result()
                    # The next batch, if one is due, is decoded while this one is rated; none is waited for.
                    following = self._begin(lane, ahead, patient=False)
                    self._commit(batch, self._finish(lane, _items(batch), first))
                    rated += len(batch)
                    begun = following or self._begin(lane, ahead)
            finally:
                self._stopping.set()
                lane.close()
                self._source.close()
                self._suspects.close()
        return rated

    def _feed(self) -> None:
        """Brings what arrives to the batcher, and tells it how that ended."""
        try:
            for arrival in self._source.arrivals(self._stopping):
                if not self._batcher.put(replace(arrival, alone=self._suspects.suspects(arrival.item))):
                    break
            self._batcher.close()
        except BaseException as error:
            self._batcher.close(error)

    def _begin(self, lane: Lane, ahead: Executor, patient: bool = True) -> tuple[list[Arrival], Future[Result]] | None:
        batch = self._batcher.next(patient)
        return (batch, ahead.submit(lane.begin, _items(batch))) if batch else None

    def _finish(self, lane: Lane, items: Sequence[Item], first: Result) -> Result:
        self._suspects.take_in_hand(items)
        if not any(map(self._suspects.condemns, items)):
            return lane.finish(items, first)
        (item,) = items
        reason = f"{DEATHS} processes died while they rated it"
        return Result([culprit(build_decider(self._settings), item, reason, build_shadow(self._settings))])

    def _commit(self, batch: Sequence[Arrival], result: Result) -> None:
        records = timed(result.values, result.seconds)
        self._journal.commit(records)
        self._suspects.acquit(_items(batch))
        self._source.acknowledge(_items(batch))
        self._metrics.committed(records, [arrival.since for arrival in batch], result.seconds)
        self._committed(records)


def _items(batch: Sequence[Arrival]) -> list[Item]:
    return [arrival.item for arrival in batch]


def _source(watched: Watched, settings: Settings, ledger: Ledger, journal: Journal) -> Source:
    if not (watched.source == STANDARD_INPUT or watched.source.startswith(SCHEME)):
        return FolderSource(watched.source, ledger, scan_limits(settings.limits), watched.out / SPOOL, watched.patience)
    media = FolderMedia(str(Path(watched.media).absolute()), watched.allow_outside)
    admission = Admission(ledger, watched.columns, media)
    if watched.source == STANDARD_INPUT:
        return LineSource(0, admission, watched.patience.until_idle)
    return _kafka_source(watched, admission, journal)


def _kafka_source(watched: Watched, admission: Admission, journal: Journal) -> Source:
    from capitoline.pipelines.watching.kafka import KafkaSource, next_offsets

    address, properties = KafkaAddress.parse(watched.source), read_properties(watched.kafka_properties)
    following = next_offsets(journal.metadata())
    return KafkaSource(address, properties, admission, following, watched.patience.until_idle)
