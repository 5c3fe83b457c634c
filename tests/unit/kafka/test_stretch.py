"""A stretch of a log: both ends are kept, the rate too, and no group has a say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sink.kafka.log import Committed
from sink.kafka.stretch import Range, Stretch
from tests.fake_log import FakeLog, partition_of


class Ear:
    """Hears of partitions and does nothing."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """Hear."""

    def revoked(self, partitions: Sequence[int]) -> None:
        """Hear."""

    def lost(self, partitions: Sequence[int]) -> None:
        """Hear."""


class Bench:
    """A stretch over a fake log, whose clock stands still unless it is slept on."""

    def __init__(self, ranges: Mapping[int, Range], max_rate: float | None = None) -> None:
        self.now = 100.0
        self.log = FakeLog(told={0: partition_of(0, range(10)), 1: partition_of(1, [0, 1, 5, 9])}, listener=Ear())
        self.log.assign(*ranges)
        self.log.poll(1, 0)
        self.stretch = Stretch(
            self.log,
            ranges,
            topic="market.trades",
            max_rate=max_rate,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def offsets(self, polls: int = 1, limit: int = 100) -> list[tuple[int, int]]:
        given = [self.stretch.poll(limit, 1.0).messages for _ in range(polls)]
        return [place for one in given for place in zip(one.partitions, one.offsets, strict=True)]


def test_nothing_before_or_behind_the_range_is_given() -> None:
    bench = Bench({0: (2, 5)})
    bench.stretch.read_from(0, 2)

    assert bench.offsets(polls=3) == [(0, 2), (0, 3), (0, 4)]
    assert bench.log.paused() == {0}


def test_the_end_is_told_again_and_again() -> None:
    bench = Bench({0: (2, 5)})
    bench.stretch.read_from(0, 2)

    assert [bench.stretch.poll(100, 1.0).reached for _ in range(3)] == [{0: 5}] * 3


def test_an_end_that_lies_in_a_gap_is_reached() -> None:
    bench = Bench({1: (1, 7)})
    bench.stretch.read_from(1, 1)

    polled = bench.stretch.poll(100, 1.0)

    assert list(polled.messages.offsets) == [1, 5]
    assert polled.reached == {1: 7}


def test_an_end_before_the_first_message_of_a_poll_is_reached() -> None:
    bench = Bench({1: (2, 4)})
    bench.stretch.read_from(1, 2)

    polled = bench.stretch.poll(100, 1.0)

    assert list(polled.messages.offsets) == []
    assert polled.reached == {1: 4}


def test_an_end_that_is_the_logs_own_is_reached_behind_control_records() -> None:
    bench = Bench({0: (8, 12)})
    bench.log.ends = {0: 12}
    bench.stretch.read_from(0, 8)

    polls = [bench.stretch.poll(100, 1.0) for _ in range(2)]

    assert list(polls[0].messages.offsets) == [8, 9]
    assert polls[1].reached == {0: 12}


def test_reading_again_begins_anew() -> None:
    bench = Bench({0: (2, 5)})
    bench.stretch.read_from(0, 2)
    bench.offsets(polls=2)

    bench.stretch.read_from(0, 4)

    assert bench.offsets(polls=2) == [(0, 4)]


def test_where_nothing_is_left_nothing_is_read() -> None:
    bench = Bench({0: (2, 5)})

    bench.stretch.read_from(0, 5)

    polled = bench.stretch.poll(100, 1.0)
    assert len(polled.messages) == 0
    assert polled.reached == {0: 5}


def test_what_is_read_to_its_end_is_not_resumed() -> None:
    bench = Bench({0: (2, 5), 1: (0, 10)})
    for partition in (0, 1):
        bench.stretch.read_from(partition, 0)
    bench.offsets(polls=2)
    bench.stretch.pause([0, 1])

    bench.stretch.resume([0, 1])

    assert 0 in bench.log.paused()


def test_the_range_is_what_the_log_still_has_of_it() -> None:
    bench = Bench({0: (2, 8)})
    bench.log.log_starts = {0: 4}

    assert bench.stretch.log_range(0) == (4, 8)
    assert bench.stretch.partitions() == [0]


def test_no_group_is_asked_and_none_is_told() -> None:
    bench = Bench({0: (2, 8)})
    bench.log.commits = {0: Committed(offset=9, marked=False)}

    bench.stretch.commit_offsets({0: 3}, {})

    assert bench.stretch.committed([0]) == {}
    assert bench.log.commits == {0: Committed(offset=9, marked=False)}


def test_the_rate_holds_over_all_partitions_and_without_a_burst_after_a_stall() -> None:
    bench = Bench({0: (0, 10), 1: (0, 10)}, max_rate=4.0)
    bench.log.told[0] = partition_of(0, range(100))
    bench.stretch = Stretch(
        bench.log, {0: (0, 100)}, topic="t", max_rate=4.0, clock=lambda: bench.now, sleep=bench.sleep
    )
    bench.stretch.read_from(0, 0)
    began = bench.now

    taken = 0
    while bench.now < began + 10:
        taken += len(bench.offsets())
    assert 36 <= taken <= 44

    bench.now += 1000
    assert len(bench.offsets(polls=2)) <= 4 + 1
