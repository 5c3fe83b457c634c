"""Checking, deduplicating and sorting rows: columns against a model in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink import rows
from sink.datasets import DATASETS
from tests.build import NOON, Told, batch

TRADES = DATASETS["trades"]
LATEST = NOON + timedelta(days=1)


def frame_of(told: Sequence[Told]) -> pl.DataFrame:
    frame = batch(told).frame()
    assert frame is not None
    return frame


def offsets(frame: pl.DataFrame) -> list[tuple[int, int]]:
    return frame.select("source_partition", "source_offset").rows()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Told(partition=0, offset=0, trade_id=1, symbol=""), "text"),
        (Told(partition=0, offset=0, trade_id=1, symbol="x" * 65), "text"),
        (Told(partition=0, offset=0, trade_id=1, symbol="a\x00b"), "text"),
        (Told(partition=0, offset=0, trade_id=1, side="b\x00"), "text"),
        (Told(partition=0, offset=0, trade_id=1, trade_ts=datetime(2008, 12, 31, tzinfo=UTC)), "ts_range"),
        (Told(partition=0, offset=0, trade_id=1, trade_ts=LATEST + timedelta(seconds=1)), "ts_range"),
        (Told(partition=0, offset=0, trade_id=1, at=LATEST + timedelta(seconds=1)), "ts_range"),
        (Told(partition=0, offset=0, trade_id=1, trade_ts=LATEST), None),
        (Told(partition=0, offset=0, trade_id=1, symbol="x" * 64), None),
    ],
)
def test_a_row_that_does_not_fit_is_named(told: Told, reason: str | None) -> None:
    other = Told(partition=0, offset=1, trade_id=2)
    checked = rows.check(frame_of([told, other]), TRADES, latest=LATEST)

    assert [bad.reason for _, bad in checked.bad] == ([reason] if reason else [])
    assert (0, 1) in offsets(checked.good)
    assert checked.good.height + len(checked.bad) == 2


messages = st.lists(
    st.builds(
        Told,
        partition=st.integers(0, 2),
        offset=st.just(0),
        trade_id=st.integers(0, 3),
        at=st.integers(0, 3).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    ),
    min_size=1,
    max_size=20,
)


def placed(told: Sequence[Told]) -> list[Told]:
    """Give the messages ascending offsets."""
    return [
        Told(partition=one.partition, offset=index, trade_id=one.trade_id, at=one.at) for index, one in enumerate(told)
    ]


@given(messages)
def test_fault_17_the_greatest_tuple_of_every_key_wins(given_messages: list[Told]) -> None:
    told = placed(given_messages)
    split = rows.newest(frame_of(told), TRADES)

    best: dict[int | None, Told] = {}
    for one in told:
        rival = best.get(one.trade_id)
        if rival is None or (one.at, one.offset, one.partition) > (rival.at, rival.offset, rival.partition):
            best[one.trade_id] = one
    assert offsets(split.winners) == [(best[key].partition, best[key].offset) for key in sorted(best, key=int)]  # type: ignore[arg-type]  # every trade here has an id
    assert split.winners.height + split.displaced.height == len(told)


@given(messages)
def test_runner_ups_come_in_descending_order_and_only_of_the_same_key(given_messages: list[Told]) -> None:
    told = placed(given_messages)
    split = rows.newest(frame_of(told), TRADES)
    loser, displaced = split.winners[:1], split.displaced
    seen = []
    while loser.height:
        seen.append(loser.select("trade_id", "observed_at", "source_offset").row(0))
        step = rows.runner_up(displaced, loser, TRADES)
        loser, displaced = step.winners, step.displaced

    first = seen[0][0]
    assert {key for key, _, _ in seen} == {first}
    assert [(at, offset) for _, at, offset in seen] == sorted(((at, offset) for _, at, offset in seen), reverse=True)
    assert len(seen) == sum(one.trade_id == first for one in told)


def test_rows_before_the_start_and_of_other_partitions_are_left_out() -> None:
    told = [Told(partition=p, offset=o, trade_id=o) for p in (0, 1) for o in (4, 5, 6)]

    assert offsets(rows.not_yet_durable(frame_of(told), {1: 5})) == [(1, 5), (1, 6)]


def test_fault_16_late_rows_are_counted_by_partition() -> None:
    told = [Told(partition=p, offset=0, trade_id=p, trade_ts=NOON - timedelta(days=p)) for p in (0, 1, 2)]

    assert rows.count_late(frame_of(told), TRADES, before=NOON) == {1: 1, 2: 1}
