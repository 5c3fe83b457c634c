"""Turns messages as Kafka's client gives them into columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from sink.batch import Messages


def columns(topic: str, received: Sequence[Message]) -> Messages:
    """Turn messages without errors into columns."""
    stamps = [message.timestamp() for message in received]
    return Messages(
        topic=topic,
        # a delivered message has both
        partitions=cast("list[int]", [message.partition() for message in received]),
        offsets=cast("list[int]", [message.offset() for message in received]),
        timestamps=[at * 1000 if kind != TIMESTAMP_NOT_AVAILABLE else -1 for kind, at in stamps],
        keys=[message.key() for message in received],
        values=[message.value() for message in received],
        headers=[_header_list(message) for message in received],
    )


def _header_list(message: Message) -> list[tuple[str, bytes | None]] | None:
    headers = message.headers()
    if not headers:
        return None
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def epochs_of(received: Sequence[Message]) -> dict[int, int]:
    """Give the newest leader epoch by partition, where messages tell one."""
    epochs: dict[int, int] = {}
    for message in received:
        epoch = message.leader_epoch()
        if epoch is not None:
            epochs[known(message.partition())] = epoch
    return epochs


def known(number: int | None) -> int:
    """Give a number that every delivered message has."""
    if number is None:
        raise TypeError("a delivered message has a partition and an offset")
    return number
