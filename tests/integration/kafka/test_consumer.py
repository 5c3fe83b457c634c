"""TopicConsumer on the real broker, and the log that stands in for it in other tests: both keep one contract."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from structlog.testing import capture_logs

from sink.errors import ConfigError, DefinitionError, TransientError
from sink.kafka import consumer
from sink.kafka.consumer import TopicConsumer
from sink.kafka.log import Committed, Log, Polled
from sink.kafka.logs import remarks
from tests.fake_log import FakeLog, partition_of
from tests.fix_sink import make_topics
from tests.patience import ANSWER

PARTITIONS = 2
COUNT = 6
"""Messages in partition 0 at the start; partition 1 has none."""


class Member:
    """Hears of partitions, and keeps what it heard."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.heard: list[str] = []

    def assigned(self, partitions: Sequence[int]) -> None:
        self.heard.append("assigned")
        self.held |= set(partitions)

    def revoked(self, partitions: Sequence[int]) -> None:
        self.heard.append("revoked")
        self.held -= set(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        self.heard.append("lost")
        self.held -= set(partitions)


class Bench(Protocol):
    """A topic, and a member of a group that reads it."""

    log: Log
    member: Member

    def join(self) -> None:
        """Let the member have both partitions at one of its next polls."""


class RealBench:
    """A topic on the real broker."""

    def __init__(self, bootstrap_servers: str, options: dict[str, str]) -> None:
        name = f"test-{uuid.uuid4().hex}"
        self.options = {"bootstrap.servers": bootstrap_servers, **options}
        self.topic, self.group = name, name
        self.member = Member()
        make_topics(bootstrap_servers, [name], PARTITIONS)
        self.produce(0, range(COUNT))
        self.consumer = TopicConsumer(options=self.options, topic=name, group=name)
        self.log: Log = self.consumer

    def produce(self, partition: int, numbers: Sequence[int]) -> None:
        producer = Producer({"bootstrap.servers": self.options["bootstrap.servers"]}, logger=remarks(__name__))
        for number in numbers:
            producer.produce(
                self.topic,
                f"value {number}",
                f"key {number}",
                partition=partition,
                timestamp=1_780_000_000_000 + number,
                headers=[("h", b"x"), ("h", None)] if number == 0 else None,
            )
        assert producer.flush(ANSWER) == 0

    def join(self) -> None:
        self.consumer.subscribe(self.member)

    def close(self) -> None:
        assert self.consumer.close(20)


class FakeBench:
    """The log in memory."""

    def __init__(self) -> None:
        self.member = Member()
        self.fake = FakeLog({0: partition_of(0, range(COUNT)), 1: []}, listener=self.member)
        self.log: Log = self.fake

    def join(self) -> None:
        self.fake.assign(0, 1)


@pytest.fixture
def real(bootstrap_servers: str) -> Iterator[RealBench]:
    bench = RealBench(bootstrap_servers, {})
    yield bench
    bench.close()


@pytest.fixture(params=["fake", "classic", "consumer"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    options = {"group.protocol": "consumer"} if request.param == "consumer" else {}
    made = RealBench(request.getfixturevalue("bootstrap_servers"), options)
    yield made
    made.close()


def poll_until(log: Log, done: Callable[[], bool], seen: list[Polled], *, seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"nothing more came than {seen}"
        seen.append(log.poll(100, 0.2))


def joined(bench: Bench) -> list[Polled]:
    """Join the group and poll until both partitions are there."""
    bench.join()
    seen: list[Polled] = []
    poll_until(bench.log, lambda: bench.member.held == {0, 1}, seen)
    return seen


def offsets(seen: Sequence[Polled], partition: int = 0) -> list[int]:
    return [
        offset
        for polled in seen
        for number, offset in zip(polled.messages.partitions, polled.messages.offsets, strict=True)
        if number == partition
    ]


def reached(seen: Sequence[Polled]) -> dict[int, int]:
    return {number: offset for polled in seen for number, offset in polled.reached.items()}


def new_offsets(seen: Sequence[Polled], start: int, partition: int = 0) -> list[int]:
    """Give what comes from ``start`` on, less what comes again: the way in which the collector listens."""
    new: list[int] = []
    for offset in offsets(seen, partition):
        if offset >= (new[-1] + 1 if new else start):
            new.append(offset)
    return new


def test_nothing_comes_before_it_is_asked_for_then_everything_in_order(bench: Bench) -> None:
    seen = joined(bench)
    seen += [bench.log.poll(100, 0.2) for _ in range(5)]
    assert offsets(seen) == []
    assert reached(seen) == {}

    bench.log.read_from(0, 2)
    bench.log.read_from(1, 0)
    poll_until(bench.log, lambda: reached(seen) == {0: COUNT, 1: 0}, seen)

    assert new_offsets(seen, 2) == [2, 3, 4, 5]
    assert bench.member.heard == ["assigned"]


def test_after_a_seek_backwards_no_later_message_comes_first(bench: Bench) -> None:
    joined(bench)
    bench.log.read_from(0, 0)
    first: list[Polled] = []
    poll_until(bench.log, lambda: len(offsets(first)) > 0, first)

    bench.log.pause([0])
    bench.log.read_from(0, 1)
    second: list[Polled] = []
    poll_until(bench.log, lambda: len(new_offsets(second, 1)) >= COUNT - 1, second)

    assert new_offsets(second, 1) == [1, 2, 3, 4, 5]
    # an end told by what was fetched before the seek would make the messages behind it pass unseen
    assert all(not polled.reached or 5 in polled.messages.offsets for polled in second)


def test_a_pause_holds_and_reading_goes_on_where_it_stopped(bench: Bench) -> None:
    joined(bench)
    bench.log.read_from(0, 0)
    seen: list[Polled] = []
    deadline = time.monotonic() + 100
    while not new_offsets(seen, 0):
        assert time.monotonic() < deadline
        seen.append(bench.log.poll(2, 0.5))
    assert len(offsets(seen)) <= 2

    bench.log.pause([0])
    assert offsets([bench.log.poll(100, 0.2) for _ in range(5)]) == []
    bench.log.resume([0])
    poll_until(bench.log, lambda: len(new_offsets(seen, 0)) >= COUNT, seen)

    assert new_offsets(seen, 0) == [0, 1, 2, 3, 4, 5]


def test_the_end_is_told_again_after_a_pause(bench: Bench) -> None:
    """What stood before the end may have waited for the registry, while which nothing behind it is taken in."""
    joined(bench)
    bench.log.read_from(0, 0)
    seen: list[Polled] = []
    poll_until(bench.log, lambda: reached(seen) == {0: COUNT}, seen)

    bench.log.pause([0])
    assert reached([bench.log.poll(100, 0.2) for _ in range(3)]) == {}
    bench.log.resume([0])
    again: list[Polled] = []
    poll_until(bench.log, lambda: reached(again) == {0: COUNT}, again)

    assert new_offsets(again, COUNT) == []


def test_a_commit_is_read_back_with_its_mark(bench: Bench) -> None:
    joined(bench)
    assert bench.log.committed([0, 1]) == {}
    bench.log.commit_offsets({0: 4}, {})
    poll_until(bench.log, lambda: bool(bench.log.committed([0, 1])), [])
    assert bench.log.committed([0, 1]) == {0: Committed(offset=4, marked=True)}


def test_a_topic_tells_its_partitions_and_ranges(bench: Bench) -> None:
    assert bench.log.partitions() == [0, 1]
    assert bench.log.log_range(0) == (0, COUNT)
    assert bench.log.log_range(1) == (0, 0)
    assert bench.log.log_ends([]) == {}
    ends: Mapping[int, int] = {}
    while not ends:
        with suppress(TransientError):  # leaders of a new topic are not known everywhere at once
            ends = bench.log.log_ends([0, 1])
    assert ends == {0: COUNT, 1: 0}
    assert bench.log.identity() == bench.log.identity()
    assert all((bench.log.identity().cluster_id, bench.log.identity().topic_id))


def test_messages_come_as_columns(real: RealBench) -> None:
    joined(real)
    real.log.read_from(0, 0)
    seen: list[Polled] = []
    poll_until(real.log, lambda: len(new_offsets(seen, 0)) == COUNT, seen)
    messages = next(polled.messages for polled in seen if len(polled.messages))
    assert (messages.topic, messages.keys[0], messages.values[0]) == (real.topic, b"key 0", b"value 0")
    assert messages.timestamps[0] == 1_780_000_000_000_000
    assert messages.headers[0] == [("h", b"x"), ("h", None)]
    assert {epoch for polled in seen for epoch in polled.epochs.values()} == {0}
    assert messages.size > 0


class MisledOnce(Consumer):
    """Sends its first commit to a topic that does not exist, so that the broker refuses it."""

    misled = False

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:  # type: ignore[override]
        if not self.misled:
            self.misled = True
            offsets = [TopicPartition(f"not-{one.topic}", one.partition, one.offset) for one in offsets]
        super().commit(offsets=offsets, asynchronous=asynchronous)  # type: ignore[call-overload]


def test_a_commit_that_the_broker_refuses_is_told_again(real: RealBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, a partition that falls silent in a rebalance would seem to lag for ever."""
    monkeypatch.setattr(consumer, "Consumer", MisledOnce)
    real.close()
    real.consumer = real.log = TopicConsumer(options=real.options, topic=real.topic, group=real.group)
    joined(real)
    with capture_logs() as told:
        real.log.commit_offsets({0: 4}, {})
        poll_until(real.log, lambda: bool(real.log.committed([0])), [])
    assert real.log.committed([0]) == {0: Committed(offset=4, marked=True)}
    assert [line["event"] for line in told] == ["offsets not committed to Kafka; the database has them"]


def test_a_commit_from_outside_has_no_mark(real: RealBench) -> None:
    outside = Consumer({"bootstrap.servers": real.options["bootstrap.servers"], "group.id": real.group})
    outside.commit(offsets=[TopicPartition(real.topic, 0, 3)], asynchronous=False)
    outside.close()
    assert real.log.committed([0]) == {0: Committed(offset=3, marked=False)}


def test_fault_51_the_end_behind_control_records_is_reached(real: RealBench) -> None:
    producer = Producer(
        {"bootstrap.servers": real.options["bootstrap.servers"], "transactional.id": real.group},
        logger=remarks(__name__),
    )
    producer.init_transactions(30)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(real.topic, "in a transaction", partition=1)
        assert producer.flush(ANSWER) == 0
        end(30)
    joined(real)
    real.log.read_from(1, 0)
    seen: list[Polled] = []
    poll_until(real.log, lambda: reached(seen) == {1: 4}, seen)
    assert new_offsets(seen, 0, 1) == [0]
    assert real.log.log_range(1) == (0, 4)


def test_fault_36_an_offset_that_is_not_there_is_told_as_a_fault(real: RealBench) -> None:
    joined(real)
    real.log.read_from(0, COUNT + 10)
    seen: list[Polled] = []
    poll_until(real.log, lambda: any(polled.faults for polled in seen), seen)
    fault = next(fault for polled in seen for fault in polled.faults)
    assert (fault.kind, fault.partition) == ("out_of_range", 0)


def test_fault_35_a_missing_topic_is_named_with_the_command(bootstrap_servers: str) -> None:
    consumer = TopicConsumer(options={"bootstrap.servers": bootstrap_servers}, topic="test-none", group="test-none")
    for ask in (consumer.partitions, consumer.identity):
        with pytest.raises(DefinitionError, match="sink topics apply"):
            ask()
    assert consumer.close(10)


def test_a_broker_that_is_away_is_a_reason_to_wait() -> None:
    consumer = TopicConsumer(options={"bootstrap.servers": "127.0.0.1:1"}, topic="test-none", group="test-none")
    for ask in (
        consumer.partitions,
        consumer.identity,
        lambda wait: consumer.log_range(0, wait),
        lambda wait: consumer.log_ends([0], wait),
    ):
        with pytest.raises(TransientError):
            ask(0.5)
    assert consumer.close(10)


def test_an_unknown_option_is_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"librdkafka refuses its options: .*no\.such\.option"):
        TopicConsumer(options={"no.such.option": "1"}, topic="test-none", group="test-none")
