"""Turns messages as Kafka's client gives them into columns.

A column is filled by ``map`` over one of the client's own methods: no step of Python's for a message, unless it has a
time or headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from sink.batch import Messages

_Headers = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]


def columns(topic: str, received: Sequence[Message]) -> Messages:
    """Turn messages without errors into columns."""
    return Messages(
        topic=topic,
        # a delivered message has both
        partitions=cast("list[int]", list(map(Message.partition, received))),
        offsets=cast("list[int]", list(map(Message.offset, received))),
        timestamps=[
            at * 1000 if kind != TIMESTAMP_NOT_AVAILABLE else -1 for kind, at in map(Message.timestamp, received)
        ],
        keys=list(map(Message.key, received)),
        values=list(map(Message.value, received)),
        headers=[_pairs(headers) if headers else None for headers in map(Message.headers, received)],
    )


def _pairs(headers: _Headers) -> list[tuple[str, bytes | None]]:
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def epochs_of(partitions: Sequence[int], received: Sequence[Message]) -> dict[int, int]:
    """Give the leader epoch of each partition's last message, where that tells one."""
    last = dict(zip(partitions, received, strict=True))
    return {number: epoch for number in last if (epoch := last[number].leader_epoch()) is not None}


def known(number: int | None) -> int:
    """Give a number that every delivered message has."""
    if number is None:
        raise TypeError("a delivered message has a partition and an offset")
    return number
