"""What the tables must hold, told from the topic alone: no code of the sink's loop, batch or flush has a part in it."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from confluent_kafka import Consumer, Message, TopicPartition

from sink.kafka.logs import remarks
from tests.chaos.messages import EXPECT, decode, moment

Key = tuple[str, datetime, int]
Version = tuple[datetime, int, int]
"""Record time, offset, partition: the order in which the later version of a row wins."""
LIMIT = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The version that a row must have, and its other columns."""

    version: Version
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A message that belongs in quarantine, as it must lie there."""

    reason: str
    key: bytes | None
    value: bytes | None
    headers: list[list[str]]
    at: datetime


@dataclass(slots=True)
class Truth:
    """Everything that the topic has told so far."""

    rows: dict[Key, Winner] = field(default_factory=dict)
    bad: dict[tuple[int, int], Bad] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    """The next offset of every partition."""
    _read: dict[int, int] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """Count the messages read."""
        return sum(self.ends.values())

    def read(self, bootstrap_servers: str, topic: str, partitions: int) -> None:
        """Read on to the present end of the topic."""
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "truth",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
            },
            logger=remarks(__name__),
        )
        try:
            numbers = range(partitions)
            consumer.assign([TopicPartition(topic, number, self._read.get(number, 0)) for number in numbers])
            self.ends = {
                number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=LIMIT)[1]
                for number in numbers
            }
            deadline = time.monotonic() + LIMIT
            while any(self._read.get(number, 0) < end for number, end in self.ends.items()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{topic} was read to {self._read}, not to {self.ends}, in {LIMIT:g} s")
                for message in consumer.consume(1000, 0.1):
                    if message.error() is None:
                        self._take(message)
        finally:
            consumer.close()

    def _take(self, message: Message) -> None:
        partition, offset, value = message.partition(), message.offset(), message.value()
        assert partition is not None
        assert offset is not None
        if offset >= self.ends[partition]:
            return  # produced meanwhile: the next reading takes it
        self._read[partition] = offset + 1
        at = moment(message.timestamp()[1])
        headers = cast("list[tuple[str, bytes]]", message.headers() or [])
        reason = next((text for name, text in headers if name == EXPECT), None)
        if reason is not None:
            self.bad[partition, offset] = Bad(
                reason=reason.decode(),
                key=message.key(),
                value=value,
                headers=[[name, base64.b64encode(text).decode()] for name, text in headers],
                at=at,
            )
            return
        assert value is not None
        record = decode(value)
        key = (record.pop("symbol"), record.pop("trade_ts"), record.pop("trade_id"))
        del record["observed_at"]
        found = Winner(version=(at, offset, partition), values=tuple(record.values()))
        if key not in self.rows or self.rows[key].version < found.version:
            self.rows[key] = found
