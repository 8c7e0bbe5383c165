"""A Kafka topic, read from a broker over sockets: librdkafka brings one for tests."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Timer

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from capitoline.modalities.schema import UNRATED, Item
from capitoline.pipelines.sources.columns import Columns
from capitoline.pipelines.sources.media import FolderMedia
from capitoline.pipelines.watching.admission import Admission
from capitoline.pipelines.watching.arrivals import ARRIVAL
from capitoline.pipelines.watching.kafka import POSITION, KafkaSource, next_offsets
from capitoline.pipelines.watching.kafka_address import KafkaAddress, read_properties
from capitoline.pipelines.watching.ledger import Ledger
from tests.watching.processes import Process, ratings

NUMBERS = itertools.count()
PLOT = "A boy and his dog spend a summer at the lake."


class Broker:
    """A cluster of brokers in this process; others reach it over sockets."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 2, "log_level": 2})
        brokers = self._producer.list_topics(timeout=10).brokers.values()
        self.addresses = ",".join(f"{one.host}:{one.port}" for one in brokers)

    def send(self, topic: str, *values: object, partition: int = 0) -> None:
        """Messages, waiting until the topic has them; bytes are sent as they are. A new topic has four partitions."""
        for value in values:
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            self._producer.produce(topic, raw, partition=partition)
        assert self._producer.flush(30) == 0

    def vanish(self) -> None:
        """Ends the cluster."""
        del self._producer

    def url(self, topic: str) -> str:
        return f"kafka://{self.addresses}/{topic}?group=tests"

    def told(self, topic: str) -> dict[int, int]:
        """By partition, the offsets that the group has been told to the brokers."""
        consumer = Consumer({"bootstrap.servers": self.addresses, "group.id": "tests", "log_level": 2})
        known = consumer.committed([TopicPartition(topic, one) for one in range(4)], timeout=10)
        consumer.close()
        return {one.partition: one.offset for one in known if one.offset >= 0}


@pytest.fixture(scope="module")
def broker() -> Broker:
    return Broker()


@pytest.fixture
def topic() -> str:
    """A topic of the test's own."""
    return f"topic-{next(NUMBERS)}"


class Reader:
    """What has arrived from a topic at watches that were started one after the other."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._address = KafkaAddress.parse(broker.url(topic))
        self.items: list[Item] = []

    def read(self, count: int) -> list[Item]:
        """The next items to arrive, which then count as being in the output."""
        source = self.source()
        try:
            found = [arrival.item for arrival in itertools.islice(source.arrivals(Event()), count)]
            source.acknowledge(found)
        finally:
            source.close()
        self.items += found
        return found

    def source(self) -> KafkaSource:
        admission = Admission(
            Ledger((one.id, one.metadata[ARRIVAL]) for one in self.items), Columns(), FolderMedia(".")
        )
        following = next_offsets(one.metadata for one in self.items)
        return KafkaSource(self._address, {}, admission, following, until_idle=60.0)


def test_all_partitions_are_read_each_in_its_order(broker: Broker, topic: str) -> None:
    for partition in range(4):
        broker.send(topic, *({"id": f"{partition}-{n}", "text": PLOT} for n in range(5)), partition=partition)
    found = [item.id for item in Reader(broker, topic).read(20)]
    assert sorted(found) == [f"{partition}-{n}" for partition in range(4) for n in range(5)]
    for partition in range(4):
        assert [one for one in found if one.startswith(f"{partition}-")] == [f"{partition}-{n}" for n in range(5)]


def test_reading_goes_on_where_the_output_ends_and_not_where_the_broker_was_told(broker: Broker, topic: str) -> None:
    broker.send(topic, {"id": "a", "text": PLOT}, {"id": "b", "text": PLOT})
    broker.send(topic, {"id": "c", "text": PLOT}, partition=3)
    reader = Reader(broker, topic)
    assert [(one.id, one.metadata[POSITION]) for one in reader.read(3) if one.id != "c"] == [
        ("a", f"{topic}/0/0"),
        ("b", f"{topic}/0/1"),
    ]
    assert broker.told(topic) == {0: 2, 3: 1}
    broker.send(topic, {"id": "d", "text": PLOT})
    reader.items = [one for one in reader.items if one.id == "a"]  # as if the others had not come to be committed
    assert sorted(one.id for one in reader.read(3)) == ["b", "c", "d"]


def test_a_message_that_repeats_an_item_is_no_new_item_and_another_content_is(broker: Broker, topic: str) -> None:
    broker.send(topic, {"id": "a", "text": "mild"}, {"id": "a", "text": "mild"}, {"id": "a", "text": "gore"})
    assert [one.id for one in Reader(broker, topic).read(2)] == ["a", "a@2"]


@pytest.mark.parametrize("value", [b"not JSON", b"", b"[1]", b"\xff\xfe\x00", b'{"id": "a"'])
def test_a_malformed_message_is_an_item_with_a_problem(broker: Broker, topic: str, value: bytes) -> None:
    broker.send(topic, value, value)
    broker.send(topic, value, partition=1)
    found = Reader(broker, topic).read(3)
    assert len({item.id for item in found}) == 3
    assert sorted(item.problem.split(" is not ")[0] for item in found) == [
        "message 0 of partition 0",
        "message 0 of partition 1",
        "message 1 of partition 0",
    ]


def test_messages_that_the_broker_has_deleted_are_accounted_for(broker: Broker, topic: str) -> None:
    broker.send(topic, {"id": "first", "text": PLOT})
    reader = Reader(broker, topic)
    reader.read(1)
    broker.send(topic, *({"id": str(n), "text": str(n) * 900_000} for n in range(10)))  # it keeps 5 MB
    lost, first = reader.read(2)
    assert lost.problem == f"messages 1 to {first.id} of partition 0 were deleted before they were read"
    assert next_offsets([lost.metadata]) == {0: int(first.id) + 1}
    assert 0 < int(first.id) < 10


def test_a_topic_that_is_shorter_than_what_was_read_of_it_is_refused(broker: Broker, topic: str) -> None:
    broker.send(topic, {"id": "a", "text": PLOT})
    reader = Reader(broker, topic)
    reader.items = [Item("later", metadata={ARRIVAL: "later", POSITION: f"{topic}/0/7"})]
    with pytest.raises(ValueError, match=r"partition 0 of .* ends at 1, and 8 of its messages have been read"):
        reader.read(1)


def test_a_topic_that_grows_is_read_in_its_new_partitions(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.send(topic, {"id": "a", "text": PLOT})
    broker.send(topic, {"id": "b", "text": PLOT}, partition=2)
    monkeypatch.setattr("capitoline.pipelines.watching.kafka.LOOK_SECONDS", 0.0)
    source = Reader(broker, topic).source()
    source._partitions = {0}  # the broker for tests cannot add partitions, so the source has to forget some
    assert {arrival.item.id for arrival in itertools.islice(source.arrivals(Event()), 2)} == {"a", "b"}
    source.close()


def test_an_address_says_brokers_topic_and_group() -> None:
    assert KafkaAddress.parse("kafka://one:9092,two:9093/up.loads?group=raters") == KafkaAddress(
        "one:9092,two:9093", "up.loads", "raters"
    )
    assert KafkaAddress.parse("kafka://[::1]:9092/t") == KafkaAddress("[::1]:9092", "t", "capitoline")


@pytest.mark.parametrize(
    "url",
    [
        "kafka://one",
        "kafka:///topic",
        "kafka://one/a/b",
        "kafka://one/a?gruop=b",
        "kafka://one/a?group=",
        "kafka://one/%20",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="kafka://HOST:PORT"):
        KafkaAddress.parse(url)


def test_secrets_come_from_a_file_and_never_from_the_address(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no secrets on a command line"):
        KafkaAddress.parse("kafka://user:secret@one:9092/topic")
    path = tmp_path / "client.properties"
    path.write_text("# of the cluster\n\nsecurity.protocol = SASL_SSL\nsasl.password=a=b\n")
    assert read_properties(path) == {"security.protocol": "SASL_SSL", "sasl.password": "a=b"}
    for text, reason in (("hush", "name=value"), ("enable.auto.commit=true", "must not set enable.auto.commit")):
        path.write_text(text)
        with pytest.raises(ValueError, match=reason) as refusal:
            read_properties(path)
        assert "hush" not in str(refusal.value)


@pytest.mark.slow
def test_killed_between_reading_and_committing_it_has_every_message_once(
    run: Callable[..., Process], broker: Broker, topic: str, light: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [broker.url(topic), "--out", str(out), "--config", str(light), "--jsonl", "--max-wait"]
    for partition in range(4):
        broker.send(topic, *({"id": f"{partition}-{n}", "text": PLOT} for n in range(3)), partition=partition)
    patient = run(*command, "3600", "--metrics-port", "0")
    patient.metrics_when("capitoline_queue_items", 12)
    patient.kill()
    assert (ratings(out), broker.told(topic)) == ({}, {})

    quick = run(*command, "0")
    told = quick.committed(12)
    quick.kill()
    assert sorted(line["item_id"] for line in told) == [f"{partition}-{n}" for partition in range(4) for n in range(3)]

    broker.send(topic, {"id": "last", "text": PLOT}, b"no JSON", partition=2)
    last = run(*command, "0")
    assert {line["item_id"] for line in last.committed(2)} >= {"last"}
    last.signal(signal.SIGTERM)
    assert last.ended() == 0
    rows = ratings(out)
    assert len(rows) == 14
    assert {row["rating"] == UNRATED for row in rows.values() if "message 4 of" in str(row["review"])} == {True}
    assert next_offsets(dict(row["metadata"]) for row in rows.values()) == {0: 3, 1: 3, 2: 5, 3: 3}
    assert broker.told(topic) == {0: 3, 1: 3, 2: 5, 3: 3}
    assert (out / "report.html").exists()


@pytest.mark.slow
def test_no_more_is_read_than_may_wait(
    run: Callable[..., Process], broker: Broker, topic: str, light: Path, tmp_path: Path
) -> None:
    broker.send(topic, *({"id": str(n), "text": PLOT} for n in range(50)))
    watch = run(
        *(broker.url(topic), "--out", str(tmp_path / "out"), "--config", str(light), "--max-wait", "3600"),
        *("--queue", "8", "--metrics-port", "0"),
    )
    watch.metrics_when("capitoline_queue_items", 8)
    watch.signal(signal.SIGTERM)
    assert watch.ended() == 0  # what waits will be read again
    assert ratings(tmp_path / "out") == {}


def test_a_topic_that_is_not_there_and_brokers_that_do_not_answer_are_named(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"topic missing: .*Unknown topic"):
        Reader(broker, "missing").source()
    monkeypatch.setattr("capitoline.pipelines.watching.kafka.ANSWER_SECONDS", 1.0)
    broker.addresses = "127.0.0.1:9"
    with pytest.raises(OSError, match=r"no broker of missing answers: .*Connection refused"):
        Reader(broker, "missing").source()


def test_brokers_that_go_away_end_nothing_and_do_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    broker.send("short-lived", {"id": "a", "text": PLOT})
    source = Reader(broker, "short-lived").source()
    stopping = Event()
    arrivals = source.arrivals(stopping)
    item = next(arrivals).item
    broker.vanish()
    Timer(2.0, stopping.set).start()
    assert list(arrivals) == []  # it went on asking for them until it was told to stop
    source.acknowledge([item])
    monkeypatch.setattr("capitoline.pipelines.watching.kafka.ANSWER_SECONDS", 1.0)
    started = time.monotonic()
    source.close()
    assert time.monotonic() - started < 10


def test_a_property_that_the_client_does_not_know_is_refused(broker: Broker) -> None:
    admission = Admission(Ledger([]), Columns(), FolderMedia("."))
    with pytest.raises(ValueError, match=r"refuses its properties: .*no\.such"):
        KafkaSource(KafkaAddress.parse(broker.url("any")), {"no.such": "1"}, admission, {}, None)


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['confluent_kafka'] = None\n"
        "from capitoline.pipelines.cli import main\n"
        f"sys.argv = ['capitoline', 'watch', 'kafka://localhost:9/t', '--out', {str(tmp_path / 'out')!r}]\n"
        "main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "pip install 'capitoline[kafka]'" in ended.stderr
