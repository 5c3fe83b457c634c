"""Puts made messages into a topic, each into the partition that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, Message, Producer

from sink.kafka.logs import remarks
from tests.chaos.messages import EXPECT, Made

DELIVERY = 30.0
"""Seconds that the broker may be away before a message is given up."""


def producer_of(bootstrap_servers: str) -> Producer:
    """Give a producer that outlasts the absence of its broker."""
    options: dict[str, str | int | bool] = {
        "bootstrap.servers": bootstrap_servers,
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "reconnect.backoff.max.ms": 500,
        "delivery.timeout.ms": round(DELIVERY * 1000),
    }
    return Producer(options, logger=remarks(__name__))


def send(
    producer: Producer,
    topic: str,
    made: Iterable[Made],
    told: Callable[[KafkaError | None, Message], None] | None = None,
) -> None:
    """Hand messages over, in order; ``told`` hears what became of each."""
    for one in made:
        producer.produce(
            topic,
            one.value,
            one.key,
            partition=one.partition,
            timestamp=one.timestamp,
            headers=[(EXPECT, one.reason.encode())] if one.reason else None,
            on_delivery=told,
        )
        producer.poll(0)
