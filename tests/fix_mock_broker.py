"""librdkafka's own mock broker, in this process: for producing without a network, not for proofs of delivery."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from sink.kafka.logs import remarks
from tests.patience import ANSWER

PARTITIONS = 4


class MockBroker:
    """A broker of one node, four partitions a topic; ``kafka`` is how to reach it."""

    def __init__(self) -> None:
        self._owner = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1}, logger=remarks(__name__))
        (node,) = self._owner.list_topics(timeout=ANSWER).brokers.values()
        self.kafka = {"bootstrap.servers": f"{node.host}:{node.port}"}

    def make(self, *topics: str) -> None:
        """Make topics: the mock does so when it is asked for one by name."""
        for topic in topics:
            self._owner.list_topics(topic, timeout=ANSWER)

    def read(self, topic: str, count: int) -> list[Message]:
        """Read this many messages of a topic, by partition and offset."""
        consumer = Consumer({**self.kafka, "group.id": "test", "auto.offset.reset": "earliest"})
        try:
            consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
            messages: list[Message] = []
            while len(messages) < count:
                message = consumer.poll(ANSWER)
                assert message is not None, f"only {len(messages)} of {count} messages came"
                assert message.error() is None
                messages.append(message)
            return sorted(messages, key=lambda found: (found.partition() or 0, found.offset() or 0))
        finally:
            consumer.close()

    def stop(self) -> None:
        """End the broker."""
        self._owner.close()


@pytest.fixture
def mock_broker() -> Iterator[MockBroker]:
    """Run a mock broker for one test."""
    broker = MockBroker()
    yield broker
    broker.stop()
