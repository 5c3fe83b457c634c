"""Reads, outside of any group, when the messages at given offsets were recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sink.batch import recorded_at
from sink.inspection.reread import Bystander
from sink.kafka.log import Listener, Polled

_POLL = 0.1
_MOST = 500


class TakenLog(Protocol):
    """A consumer that belongs to no group; :class:`sink.kafka.consumer.TopicConsumer` is the real one."""

    def take(self, listener: Listener, partitions: Sequence[int]) -> None:
        """Read these partitions; they are paused."""

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume."""

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing of these."""

    def poll(self, limit: int, wait: float) -> Polled:
        """Give messages."""


def record_times(
    log: TakenLog, offsets: Mapping[int, int], *, patience: float, clock: Callable[[], float]
) -> dict[int, datetime]:
    """Give by partition the record time of the first message from an offset on.

    Partitions without such a message, without a time, or without an answer within ``patience`` seconds are left out.
    """
    found: dict[int, datetime] = {}
    log.take(Bystander(), sorted(offsets))
    for partition, offset in sorted(offsets.items()):
        log.read_from(partition, offset)
    open_ones, until = dict(offsets), clock() + patience
    while open_ones and clock() < until:
        polled = log.poll(_MOST, _POLL)
        messages = polled.messages
        done = {number for number, end in polled.reached.items() if end >= open_ones.get(number, end + 1)}
        for number, offset, stamp in zip(messages.partitions, messages.offsets, messages.timestamps, strict=True):
            if number in open_ones and number not in found and offset >= open_ones[number]:
                done.add(number)
                if (moment := recorded_at(stamp)) is not None:
                    found[number] = moment
        for number in done & open_ones.keys():
            del open_ones[number]
            log.pause([number])
    return found
