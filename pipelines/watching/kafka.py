"""A Kafka topic: the value of each message is a row, as a line of JSON lines is.

All partitions are assigned by hand and none by the group. One process writes to an output folder,
so there is nobody to share them with, and a rebalance would take away messages that wait here to
be rated. Where reading goes on stands in the output, beside the item that each message became;
the offsets that brokers are told are for those who watch the lag.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from capitoline.modalities.schema import Item
from capitoline.pipelines.sources.rows import Row, json_row
from capitoline.pipelines.watching.admission import Admission
from capitoline.pipelines.watching.arrivals import GLANCE_SECONDS, Arrival
from capitoline.pipelines.watching.kafka_address import KafkaAddress

POSITION = "kafka"
"""The column of an item's metadata that says which message it was: `topic/partition/offset`."""
ANSWER_SECONDS = 10.0
"""How long a broker may take to answer a question."""
LOOK_SECONDS = 30.0
"""Between two looks whether the topic has grown more partitions."""
QUIET_SECONDS = 60.0
"""Between two complaints of one kind."""
PREFETCHED = {"queued.min.messages": 1_000, "queued.max.messages.kbytes": 16_384}
"""What the client reads ahead; by its own defaults it would be 100,000 messages and 64 MB a partition."""

logger = logging.getLogger("capitoline")


def next_offsets(committed: Iterable[Mapping[str, str]]) -> dict[int, int]:
    """By partition, where reading goes on after items with this metadata."""
    following: dict[int, int] = {}
    for metadata in committed:
        _, partition, offset = metadata[POSITION].split("/")
        following[int(partition)] = max(following.get(int(partition), 0), int(offset) + 1)
    return following


class KafkaSource:
    """A topic, from its first message or from where the output ends.

    Items are admitted in the order in which they are committed, so all messages of a partition
    before the last committed one are in the output, or repeat one that is.

    Args:
        properties: of the client (librdkafka), such as its credentials.
        following: by partition, the offset of the first message that is not in the output.
        until_idle: seconds without a message after which it ends; None: never.

    Raises:
        ValueError: there is no such topic, it is not the one that was read before, or the client refuses a property.
        OSError: no broker answers.
    """

    repeats = True

    def __init__(
        self,
        address: KafkaAddress,
        properties: Mapping[str, str],
        admission: Admission,
        following: Mapping[int, int],
        until_idle: float | None,
    ) -> None:
        self._topic, self._admission, self._until_idle = address.topic, admission, until_idle
        self._next = dict(following)
        self._said: dict[int, float] = {}
        self._last_words = ""
        self._reading = Lock()
        self._untold: SimpleQueue[dict[int, int]] = SimpleQueue()
        if following:
            self._untold.put(dict(following))  # whoever wrote them may have been killed before it told
        self._consumer = self._connect(address, properties)
        self._partitions = self._find_partitions()
        self._looked = time.monotonic()

    def arrivals(self, stopping: Event) -> Iterator[Arrival]:
        """Items in the order of each partition's messages, without those that have arrived before.

        Raises:
            OSError: the topic cannot be read any further (it was deleted, or the rights to it were).
        """
        yield from map(Arrival, self._assign())
        quiet_since = time.monotonic()
        while not stopping.is_set():
            yield from map(Arrival, self._grown())
            with self._reading:
                self._tell()
                message = self._consumer.poll(GLANCE_SECONDS)
            if message is not None:
                yield from map(Arrival, self._items(message))
                quiet_since = time.monotonic()
            elif self._until_idle is not None and time.monotonic() - quiet_since >= self._until_idle:
                return

    def acknowledge(self, items: Sequence[Item]) -> None:
        """Lets the thread that reads tell the brokers that these items are in the output."""
        self._untold.put(next_offsets(item.metadata for item in items))

    def close(self) -> None:
        """Once the brokers have been told all that they were to be told; not for long if they are away."""
        closing = Thread(target=self._close, name="closing", daemon=True)
        closing.start()
        closing.join(ANSWER_SECONDS)

    def _close(self) -> None:
        with self._reading:
            self._tell()
            self._consumer.close()

    def _connect(self, address: KafkaAddress, properties: Mapping[str, str]) -> Consumer:
        settings: dict[str, Any] = {
            **PREFETCHED,
            "log_level": 2,  # the client would write every attempt to connect to standard error
            **properties,
            "bootstrap.servers": address.brokers,
            "group.id": address.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",  # never silently elsewhere than the output says
            "error_cb": self._complain,
            "on_commit": lambda error, _: self._complain(error) if error else None,
        }
        try:
            return Consumer(settings)
        except KafkaException as error:
            raise ValueError(f"the Kafka client refuses its properties: {_words(error)}") from error

    def _find_partitions(self) -> set[int]:
        try:
            found = self._consumer.list_topics(self._topic, timeout=ANSWER_SECONDS).topics[self._topic]
        except KafkaException as error:
            self._consumer.poll(0)  # lets the client tell why
            raise OSError(f"no broker of {self._topic} answers: {self._last_words or _words(error)}") from error
        if found.error is not None:
            raise ValueError(f"topic {self._topic}: {found.error.str()}")
        return set(found.partitions)

    def _grown(self) -> Iterator[Item]:
        """Begins to read partitions that the topic did not have before."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked, known = time.monotonic(), self._partitions
        try:
            self._partitions = self._find_partitions()
        except (OSError, ValueError) as error:  # brokers come back, and reading says it if the topic is gone
            logger.warning("%s; trying again", error)
        if self._partitions - known:
            yield from self._assign()

    def _assign(self) -> Iterator[Item]:
        """Reads all partitions from where they were left; an item for each stretch of messages that is gone."""
        for partition in sorted(self._partitions):
            yield from self._placed(partition)
        self._consumer.assign([TopicPartition(self._topic, one, self._next[one]) for one in sorted(self._partitions)])

    def _placed(self, partition: int) -> Iterator[Item]:
        """Finds where to read a partition."""
        try:
            where = TopicPartition(self._topic, partition)
            first, end = self._consumer.get_watermark_offsets(where, timeout=ANSWER_SECONDS)
        except KafkaException as error:
            raise OSError(f"partition {partition} of {self._topic} does not answer: {_words(error)}") from error
        start = self._next.setdefault(partition, first)
        if start > end:
            raise ValueError(
                f"partition {partition} of {self._topic} ends at {end}, and {start} of its messages have been read: "
                "it is another topic of that name; choose another --out"
            )
        if start < first:
            self._next[partition] = first
            problem = f"messages {start} to {first - 1} of partition {partition} were deleted before they were read"
            yield from self._admitted(Row(start, {}, problem), partition, first - 1)

    def _items(self, message: Message) -> Iterator[Item]:
        error, partition, offset = message.error(), message.partition(), message.offset()
        if error is None:
            assert partition is not None and offset is not None
            self._next[partition] = offset + 1
            row = json_row(offset, message.value() or b"", f"message {offset} of partition {partition}")
            yield from self._admitted(row, partition, offset)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            yield from self._assign()
        elif error.retriable():
            self._complain(error)
        else:
            raise OSError(f"topic {self._topic} cannot be read any further: {error.str()}")

    def _tell(self) -> None:
        """Tells the brokers, without waiting for them, where the output ends."""
        # Not in the thread that commits: there the client's own lock, which polling holds, might never be had.
        while not self._untold.empty():
            offsets = self._untold.get()
            told = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
            try:
                self._consumer.commit(offsets=told, asynchronous=True)
            except KafkaException as error:
                self._complain(error.args[0])

    def _admitted(self, row: Row, partition: int, offset: int) -> Iterator[Item]:
        item = self._admission(row, "message", {POSITION: f"{self._topic}/{partition}/{offset}"})
        if item is not None:
            yield item

    def _complain(self, error: KafkaError) -> None:
        """Says what the client could not do; it tries again by itself, several times a second."""
        self._last_words, now = error.str(), time.monotonic()
        if now - self._said.get(error.code(), -QUIET_SECONDS) >= QUIET_SECONDS:
            self._said[error.code()] = now
            logger.warning("Kafka: %s", self._last_words)


def _words(error: KafkaException) -> str:
    return str(error.args[0].str())
