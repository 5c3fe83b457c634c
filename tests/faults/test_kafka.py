"""Faults that only a real broker shows: topics that vanish, listeners that raise, brokers that fall silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from sink.errors import DefinitionError, TransientError
from sink.kafka.consumer import TopicConsumer
from sink.kafka.log import Polled
from sink.kafka.logs import remarks
from tests.fix_sink import make_topics, wait_until
from tests.patience import ANSWER

LIMIT = 120.0


class Listener:
    """Holds what it is given; raises as often as it is told to."""

    def __init__(self, raises: int = 0) -> None:
        self.held: set[int] = set()
        self.raises = raises

    def assigned(self, partitions: Sequence[int]) -> None:
        self.held |= set(partitions)
        if self.raises:
            self.raises -= 1
            raise ZeroDivisionError

    def revoked(self, partitions: Sequence[int]) -> None:
        self.held -= set(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        self.held -= set(partitions)


class Topic:
    """A topic of one partition, and a member of a group that reads it."""

    def __init__(self, servers: str, listener: Listener) -> None:
        self.servers = servers
        self.name = f"test-{uuid.uuid4().hex}"
        self.listener = listener
        self.admin = AdminClient({"bootstrap.servers": servers})
        make_topics(servers, [self.name], 1)
        self.consumer = TopicConsumer(options={"bootstrap.servers": servers}, topic=self.name, group=self.name)

    def produce(self, count: int) -> None:
        producer = Producer({"bootstrap.servers": self.servers}, logger=remarks(__name__))
        for number in range(count):
            producer.produce(self.name, f"{number}", partition=0)
        assert producer.flush(ANSWER) == 0

    def delete(self) -> None:
        self.admin.delete_topics([self.name])[self.name].result(ANSWER)
        wait_until(lambda: self.name not in self.admin.list_topics(timeout=ANSWER).topics, "the topic is gone")

    def poll_until(self, done: Callable[[], bool], seen: list[Polled]) -> None:
        deadline = time.monotonic() + LIMIT
        while not done():
            assert time.monotonic() < deadline, f"nothing more came than {seen}"
            seen.append(self.consumer.poll(100, 0.1))


@contextmanager
def topic_of(servers: str, listener: Listener) -> Iterator[Topic]:
    topic = Topic(servers, listener)
    try:
        yield topic
    finally:
        assert topic.consumer.close(20)


def offsets(seen: Sequence[Polled]) -> list[int]:
    return [offset for polled in seen for offset in polled.messages.offsets]


def test_fault_35_a_topic_that_is_gone_or_made_anew_is_known_by_its_id(bootstrap_servers: str) -> None:
    """Kafka's client does not tell: it reads on at the old offset, as soon as the new topic has one."""
    with topic_of(bootstrap_servers, Listener()) as topic:
        topic.produce(3)
        topic.consumer.subscribe(topic.listener)
        seen: list[Polled] = []
        topic.poll_until(lambda: topic.listener.held == {0}, seen)
        topic.consumer.read_from(0, 0)
        topic.poll_until(lambda: offsets(seen)[-3:] == [0, 1, 2], seen)
        before = topic.consumer.identity()

        topic.delete()
        with pytest.raises(DefinitionError, match="sink topics apply"):
            topic.consumer.identity()
        make_topics(bootstrap_servers, [topic.name], 1)
        topic.produce(5)
        after = topic.consumer.identity()
        assert after.topic_id != before.topic_id
        assert after.cluster_id == before.cluster_id


def test_fault_45_a_listener_that_raises_destroys_no_message_and_is_told(
    bootstrap_servers: str, expects_error_log: list[str]
) -> None:
    """An exception that leaves a callback inside consume() would destroy what was already taken from the queue."""
    with topic_of(bootstrap_servers, Listener(raises=1)) as topic:
        topic.produce(6)
        topic.consumer.subscribe(topic.listener)
        with pytest.raises(TransientError, match="broke off"):
            topic.poll_until(lambda: False, [])
        assert topic.listener.held == {0}

        topic.consumer.read_from(0, 0)
        seen: list[Polled] = []
        topic.poll_until(lambda: len(offsets(seen)) == 6, seen)

        assert offsets(seen) == list(range(6))
    assert expects_error_log == ["a rebalance broke off; all partitions are claimed again"]


BROKER = """
import sys, time
from confluent_kafka import Producer
broker = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
broker.produce("frozen", b"so that the topic is there")
assert broker.flush(60) == 0
(node,) = broker.list_topics(timeout=60).brokers.values()
print(f"{node.host}:{node.port}", flush=True)
sys.stdin.read()
"""
MEMBER = """
import sys
from sink.kafka.consumer import TopicConsumer
class Listener:
    held = False
    def assigned(self, partitions): self.held = True
    def revoked(self, partitions): pass
    def lost(self, partitions): pass
consumer = TopicConsumer(options={"bootstrap.servers": sys.argv[1]}, topic="frozen", group="frozen")
listener = Listener()
consumer.subscribe(listener)
while not listener.held:  # the test gives up first
    consumer.poll(10, 0.1)
print("held", flush=True)
sys.stdin.readline()
print("closed" if consumer.close(0.5) else "left behind", flush=True)
"""


def test_a_broker_that_falls_silent_does_not_keep_the_process() -> None:
    """The broker (librdkafka's own, as a process) is stopped with its connections open; closing would wait for it."""
    with (
        _python(BROKER) as broker,
        _python(MEMBER, _line(broker)) as member,
    ):
        assert _line(member) == "held"
        broker.send_signal(signal.SIGSTOP)
        os.waitpid(broker.pid, os.WUNTRACED)  # until its last thread stands still
        assert member.stdin is not None
        member.stdin.write("\n")
        member.stdin.flush()

        assert _line(member) == "left behind", "it waited for the broker's farewell"
        assert member.wait(LIMIT) == 0


@contextmanager
def _python(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=LIMIT)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
