"""When the messages at given offsets were recorded, read outside of any group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sink.inspection.record_times import record_times
from sink.kafka.log import Listener
from tests.fake_log import FakeLog, partition_of


class TakenFakeLog(FakeLog):
    """A log in memory whose partitions can be taken without a group."""

    def take(self, listener: Listener, partitions: Sequence[int]) -> None:
        """Read these partitions; they are paused."""
        self.listener = listener
        self.assign(*partitions)
        self.poll(1, 0)

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume; the beginning that was looked up before overtakes the seek."""
        del offset
        super().read_from(partition, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def test_the_first_message_from_an_offset_on_tells_and_earlier_ones_do_not() -> None:
    told = {0: partition_of(0, [0, 1, 2, 5, 6]), 1: partition_of(1, [0, 1]), 2: partition_of(2, [0])}
    told[0][1] = replace(told[0][1], at=told[0][1].at.replace(year=2020))
    log = TakenFakeLog(told)
    found = record_times(log, {0: 3, 1: 2, 2: 0}, patience=10, clock=Clock())
    assert found == {0: told[0][3].at, 2: told[2][0].at}  # 3 and 4 were compacted away; nothing at 1's position yet


class DrowsyLog(TakenFakeLog):
    """Never delivers anything of partition 1."""

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume."""
        super().read_from(partition, offset)
        self.asleep.add(1)


def test_a_partition_that_is_silent_is_left_out() -> None:
    log = DrowsyLog({0: partition_of(0, [0]), 1: partition_of(1, [0])})
    assert set(record_times(log, {0: 0, 1: 0}, patience=2, clock=Clock())) == {0}
