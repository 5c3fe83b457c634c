"""Reading a stretch again: every message once, whatever Kafka does meanwhile."""

from __future__ import annotations

import itertools

import pytest

from sink.errors import DefinitionError, TransientError
from sink.inspection.intervals import Interval
from sink.inspection.reread import Reread
from sink.kafka.log import LogFault, Polled
from sink.kafka.stretch import Stretch
from tests.build import TOPIC, messages
from tests.fake_log import FakeLog, partition_of


def reread(log: FakeLog, ranges: dict[int, Interval]) -> Reread:
    """Read on a clock that moves a second with every look at it."""
    ticks = itertools.count()
    stretch = Stretch(log, ranges, topic=TOPIC, max_rate=None, clock=lambda: 0.0, sleep=lambda _: None)
    return Reread(stretch, ranges, watch=lambda _done, _total: None, clock=lambda: float(next(ticks)))


def places(reading: Reread) -> list[tuple[int, int]]:
    return [place for given in reading.messages() for place in zip(given.partitions, given.offsets, strict=True)]


def test_it_gives_the_ranges_and_ends_behind_offsets_without_messages() -> None:
    log = FakeLog(told={0: partition_of(0, [0, 1, 2, 5]), 1: partition_of(1, range(9))}, ends={0: 9})

    assert places(reread(log, {0: (1, 8), 1: (2, 4)})) == [(0, 1), (0, 2), (0, 5), (1, 2), (1, 3)]


def test_what_kafka_drops_meanwhile_is_noted() -> None:
    log = FakeLog(told={0: partition_of(0, range(6, 10))}, log_starts={0: 6})
    log.faults = [LogFault(kind="out_of_range", partition=0, error="gone")]
    reading = reread(log, {0: (2, 10)})

    assert places(reading) == [(0, 6), (0, 7), (0, 8), (0, 9)]
    assert reading.gone == [(0, (2, 6))]


class OvertakenLog(FakeLog):
    """Gives what was fetched before a seek first."""

    def read_from(self, partition: int, offset: int) -> None:
        super().read_from(partition, offset - 2)


def test_what_was_fetched_before_a_seek_is_left_out() -> None:
    log = OvertakenLog(told={0: partition_of(0, range(6))})

    assert places(reread(log, {0: (3, 6)})) == [(0, 3), (0, 4), (0, 5)]


class HesitantLog(FakeLog):
    """Does not take the first seek, as Kafka's client while it still sees to the assignment."""

    def read_from(self, partition: int, offset: int) -> None:
        if self.broken:
            self.broken = False
            raise TransientError("Erroneous state")
        super().read_from(partition, offset)


def test_a_seek_that_is_refused_at_first_is_tried_again() -> None:
    log = HesitantLog(told={0: partition_of(0, range(3)), 1: partition_of(1, range(2))}, broken=True)

    assert places(reread(log, {0: (0, 3), 1: (0, 2)})) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


class SilentLog(FakeLog):
    """Takes every order and gives nothing."""

    def poll(self, limit: int, wait: float) -> Polled:
        del limit, wait
        return Polled(messages=messages([]))


def test_a_silent_broker_is_given_up() -> None:
    log = SilentLog(told={0: partition_of(0, range(4))})

    with pytest.raises(TransientError, match="given nothing"):
        places(reread(log, {0: (0, 4)}))


def test_a_topic_that_may_not_be_read_is_no_empty_one() -> None:
    log = FakeLog(told={0: partition_of(0, range(4))}, faults=[LogFault(kind="denied", partition=None, error="no")])

    with pytest.raises(DefinitionError, match="cannot be read: no"):
        places(reread(log, {0: (0, 4)}))
