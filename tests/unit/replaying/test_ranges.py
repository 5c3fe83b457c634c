"""From words to offsets: what the log has, what it no longer has, what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sink.errors import ConfigError
from sink.replaying.ranges import Bound, before, choose, meant, targets
from tests.build import NOON, Told
from tests.fake_log import FakeLog

HOUR = timedelta(hours=1)
FROM_THE_BEGINNING = Bound(place="beginning")
NO_BOUND = Bound()


def hourly(partition: int, count: int) -> list[Told]:
    """Give messages an hour apart, the first at noon."""
    return [
        Told(partition=partition, offset=offset, trade_id=offset, at=NOON + offset * HOUR) for offset in range(count)
    ]


@pytest.fixture
def log() -> FakeLog:
    return FakeLog(told={0: hourly(0, 10), 1: hourly(1, 4), 2: []})


def test_everything_is_every_partition_that_has_messages(log: FakeLog) -> None:
    chosen = choose(log, FROM_THE_BEGINNING, NO_BOUND, [])

    assert chosen.ranges == {0: (0, 10), 1: (0, 4)}
    assert chosen.notes == []


def test_offsets_name_the_partitions_too(log: FakeLog) -> None:
    assert choose(log, Bound(offsets={0: 3}), NO_BOUND, []).ranges == {0: (3, 10)}
    assert choose(log, Bound(offsets={0: 3}), Bound(offsets={0: 5}), []).ranges == {0: (3, 5)}


def test_offsets_and_a_place_for_the_others(log: FakeLog) -> None:
    chosen = choose(log, Bound(offsets={0: 7}, place="beginning"), Bound(offsets={1: 2}), [])

    assert chosen.ranges == {0: (7, 10), 1: (0, 2)}


def test_times_become_the_first_offsets_not_before_them(log: FakeLog) -> None:
    chosen = choose(log, Bound(place=NOON + 2 * HOUR), Bound(place=NOON + 5 * HOUR), [0, 1])

    assert chosen.ranges == {0: (2, 5), 1: (2, 4)}
    half = choose(log, Bound(place=NOON + 1.5 * HOUR), NO_BOUND, [0])
    assert half.ranges == {0: (2, 10)}


def test_partitions_narrow_it(log: FakeLog) -> None:
    assert choose(log, FROM_THE_BEGINNING, NO_BOUND, [1]).ranges == {1: (0, 4)}


def test_a_range_older_than_the_log_is_clipped_and_that_is_said(log: FakeLog) -> None:
    log.log_starts = {0: 6}

    chosen = choose(log, Bound(offsets={0: 2}), NO_BOUND, [])

    assert chosen.ranges == {0: (6, 10)}
    assert chosen.notes == ["partition 0: Kafka no longer has the offsets [2, 6); its log begins at 6"]


def test_a_range_all_of_which_is_gone_is_said(log: FakeLog) -> None:
    log.log_starts = {0: 6}

    chosen = choose(log, Bound(offsets={0: 2}), Bound(offsets={0: 4}), [])

    assert chosen.ranges == {}
    assert chosen.notes == ["partition 0: Kafka no longer has the offsets [2, 4); its log begins at 6"]


def test_an_empty_range_is_said(log: FakeLog) -> None:
    chosen = choose(log, Bound(offsets={0: 4}), Bound(offsets={0: 4}), [])

    assert chosen.ranges == {}
    assert chosen.notes == ["partition 0: no messages in [4, 4)"]


def test_what_was_understood_is_said_first(log: FakeLog) -> None:
    assert choose(log, Bound(place=NOON, notes=["so it is"]), NO_BOUND, []).notes == ["so it is"]


@pytest.mark.parametrize(
    ("start", "end", "partitions", "sentence"),
    [
        (Bound(offsets={0: 5}), Bound(offsets={0: 3}), [], "partition 0: --to is offset 3, before --from"),
        (Bound(place=NOON + 5 * HOUR), Bound(place=NOON), [0], "partition 0: --to is offset 0, before --from"),
        (Bound(offsets={7: 5}), NO_BOUND, [], "--from: there is no partition 7; the topic has 0, 1, 2"),
        (FROM_THE_BEGINNING, Bound(offsets={7: 5}), [], "--to: there is no partition 7"),
        (FROM_THE_BEGINNING, NO_BOUND, [7], "--partitions: there is no partition 7"),
        (Bound(offsets={0: 11}), NO_BOUND, [], r"--from: offset 11 of partition 0 lies beyond the log"),
        (FROM_THE_BEGINNING, Bound(offsets={0: 11}), [], r"--to: offset 11 of partition 0 .* \[0, 10\)"),
        (Bound(offsets={0: 1}), NO_BOUND, [1], "--from names partition 0, which is not among those"),
        (Bound(offsets={0: 1}), Bound(offsets={1: 2}), [], "--to names partition 1, which is not among those"),
        (Bound(offsets={0: 1}), NO_BOUND, [0, 1], "--from says nothing of partition 1; add a place"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    log: FakeLog, start: Bound, end: Bound, partitions: list[int], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        choose(log, start, end, partitions)


def test_offsets_beyond_retention_are_counted(log: FakeLog) -> None:
    assert before(log, {0: (1, 6), 1: (3, 4)}, NOON + 3 * HOUR) == {0: 2}
    assert before(log, {0: (0, 10)}, NOON + 100 * HOUR) == {0: 10}


def test_a_rewind_wants_offsets_that_the_log_has(log: FakeLog) -> None:
    log.log_starts = {0: 6}

    assert targets(log, Bound(offsets={0: 6}), []) == {0: 6}
    assert targets(log, Bound(place="beginning"), []) == {0: 6, 1: 0, 2: 0}
    assert targets(log, Bound(place="end"), [1]) == {1: 4}
    with pytest.raises(ConfigError, match="Kafka no longer has offset 5"):
        targets(log, Bound(offsets={0: 5}), [])
    with pytest.raises(ConfigError, match="--to: offset 11 of partition 0 lies beyond the log"):
        targets(log, Bound(offsets={0: 11}), [])


def test_what_is_meant_may_lie_before_the_log_and_be_empty_but_not_beyond_or_inverted(log: FakeLog) -> None:
    log.log_starts = {0: 4}

    assert meant(log, Bound(offsets={0: 2}), Bound(offsets={0: 3}), []) == {0: (2, 3)}
    assert meant(log, FROM_THE_BEGINNING, NO_BOUND, [0, 2]) == {0: (4, 10), 2: (0, 0)}
    with pytest.raises(ConfigError, match="exchange them"):
        meant(log, Bound(offsets={0: 3}), Bound(offsets={0: 2}), [])
    with pytest.raises(ConfigError, match="beyond the log"):
        meant(log, Bound(offsets={0: 11}), NO_BOUND, [])
