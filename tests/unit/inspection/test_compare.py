"""Every verdict on a row, on made-up messages and rows; and that buckets change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from sink.datasets import DATASETS
from sink.errors import SinkError
from sink.inspection.compare import Scope, Verdict, compare, expected, places, versions
from sink.inspection.deep import Comparison, Excused, Found, place_frame
from sink.inspection.spill import BUCKET_ROWS, MOST_BUCKETS, Spill, buckets_for
from tests.build import NOON, Told, decoded, messages
from tests.fake_log import FakeDecoder, FakeLog

TRADES = DATASETS["trades"]
SECOND = timedelta(seconds=1)
SCOPE = Scope(ranges={0: (100, 200)}, partitions=[0, 1], horizon=NOON - timedelta(days=30))
FIRST = Told(partition=0, offset=100, trade_id=1, price="1")
NEWER = replace(FIRST, offset=110, price="2", at=NOON + SECOND)


def said(told: Sequence[Told]) -> pl.DataFrame:
    """Give what messages say, or the rows that they make."""
    return versions(messages(told), decoded(told), clock="record")


def verdict(told: Sequence[Told], rows: Sequence[Told], scope: Scope = SCOPE) -> Verdict:
    """Give the one verdict on a key."""
    judged = compare(said(told), said(rows), TRADES, scope)
    (found,) = judged["verdict"].to_list()
    return Verdict(found)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([NEWER], Verdict.EQUAL),
        ([], Verdict.MISSING),
        ([FIRST], Verdict.STALE),
        ([replace(FIRST, partition=1, offset=900)], Verdict.STALE),
        ([replace(NEWER, price="3")], Verdict.CHANGED),
        ([replace(NEWER, side="buy")], Verdict.CHANGED),
        ([replace(NEWER, at=NOON)], Verdict.CHANGED),
        ([replace(NEWER, offset=111)], Verdict.MISNAMED),
        ([replace(NEWER, partition=7, at=NOON + 2 * SECOND)], Verdict.MISNAMED),
        ([replace(NEWER, offset=200)], Verdict.LATER),
        ([replace(NEWER, offset=99, at=NOON + 2 * SECOND)], Verdict.OUTSIDE),
        ([replace(NEWER, partition=1)], Verdict.OUTSIDE),
        ([replace(NEWER, partition=-1, offset=-1, at=NOON + 2 * SECOND)], Verdict.OVERRIDDEN),
        ([replace(NEWER, partition=-1, offset=-1, at=NOON)], Verdict.STALE),
    ],
)
def test_a_row_beside_its_messages(rows: list[Told], found: Verdict) -> None:
    assert verdict([NEWER, FIRST], rows) is found


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (FIRST, Verdict.UNEXPECTED),
        (replace(FIRST, partition=7), Verdict.UNEXPECTED),
        (replace(FIRST, offset=200), Verdict.LATER),
        (replace(FIRST, offset=99), Verdict.OUTSIDE),
        (replace(FIRST, partition=-1, offset=-1), Verdict.REPOSITORY),
    ],
)
def test_a_row_without_a_message(row: Told, found: Verdict) -> None:
    assert verdict([], [row]) is found


def test_a_message_beyond_retention_may_have_no_row_but_no_wrong_one() -> None:
    old = replace(FIRST, trade_ts=NOON - timedelta(days=31))

    assert verdict([old], []) is Verdict.EXPIRED
    assert verdict([old], [replace(old, price="9")]) is Verdict.CHANGED
    assert verdict([old], [], replace(SCOPE, horizon=None)) is Verdict.MISSING


def test_the_newest_is_told_by_time_then_offset_then_partition() -> None:
    scope = replace(SCOPE, ranges={0: (0, 200), 1: (0, 200)})
    tied = [FIRST, replace(FIRST, offset=101), replace(FIRST, offset=101, partition=1), replace(FIRST, offset=99)]
    lower = replace(FIRST, offset=90, partition=1)

    for order in (tied, tied[::-1]):
        assert verdict(order, [tied[2]], scope) is Verdict.EQUAL
        assert verdict(order, [tied[1]], scope) is Verdict.STALE
    assert verdict([lower, FIRST], [FIRST], scope) is Verdict.EQUAL
    assert verdict([lower, FIRST], [lower], scope) is Verdict.STALE


def test_the_columns_that_differ_are_named() -> None:
    judged = compare(said([NEWER]), said([replace(NEWER, price="3", side="sell")]), TRADES, SCOPE)

    assert judged["differing"].to_list() == [["price", "side"]]


def test_an_excused_message_is_not_demanded_unless_its_row_stands_there() -> None:
    told, excused = said([FIRST, NEWER]), places(said([NEWER]))

    assert places(expected(told, excused, said([FIRST]))).rows() == [(0, 100)]
    assert places(expected(told, excused, said([NEWER]))).rows() == [(0, 100), (0, 110)]


def test_the_clock_of_the_producer_orders_where_it_is_the_dataset_s() -> None:
    late = replace(FIRST, observed_at=NOON + 9 * SECOND)
    early = replace(NEWER, observed_at=NOON)
    told = versions(messages([late, early]), decoded([late, early]), clock="field")

    judged = compare(told, told.filter(pl.col("source_offset") == 100), TRADES, SCOPE)

    assert judged["verdict"].to_list() == [Verdict.EQUAL.value]


def test_a_time_that_no_calendar_has_can_be_told() -> None:
    said_so = decoded([FIRST])
    far = pl.lit(2**62).cast(pl.Datetime("us", "UTC"))
    told = versions(messages([FIRST]), replace(said_so, frame=said_so.frame.with_columns(trade_ts=far)), clock="record")

    judged = compare(told, told.clear(), TRADES, SCOPE)

    assert [one["trade_ts"].year for one in judged.to_dicts()] == [9999]


def trades(count: int) -> list[Told]:
    """Give messages of many times, each key twice."""
    one = [
        Told(partition=0, offset=offset, trade_id=offset % 50, trade_ts=NOON + (offset % 50) * SECOND)
        for offset in range(count)
    ]
    return [replace(one[5], trade_id=None) if told.offset == 5 else told for told in one]


def found_in(
    directory: Path, told: list[Told], rows: pl.DataFrame, *, buckets: tuple[int, int], excused: Excused
) -> Found:
    """Compare in so many buckets of messages, and so many of rows."""
    log = FakeLog(told={0: told})
    offsets, many = (number * BUCKET_ROWS for number in buckets)
    comparison = Comparison(TRADES, decoder=FakeDecoder(log), clock="record", directory=directory, offsets=offsets)
    comparison.read(messages(told[start : start + 7]) for start in range(0, len(told), 7))
    comparison.hold((rows[start : start + 11] for start in range(0, rows.height, 11)), rows=many)
    scope = Scope(ranges={0: (0, len(told))}, partitions=[0], horizon=None)
    return comparison.judge(scope, excused, samples=2)


@pytest.mark.parametrize("buckets", [(1, 1), (7, 1), (1, 5), (3, 8)])
def test_a_comparison_on_disk_finds_what_was_done(tmp_path: Path, buckets: tuple[int, int]) -> None:
    told = trades(100)
    rows = said(told).filter(pl.col("source_offset") >= 50)
    broken = rows.filter(pl.col("trade_id") > 3).with_columns(
        price=pl.when(pl.col("trade_id") == 9).then(pl.lit(8)).otherwise("price").cast(pl.Decimal(38, 18))
    )
    nothing = Excused(waiting=place_frame([]), kept=place_frame([]), left_out={})

    found = found_in(tmp_path, told, broken, buckets=buckets, excused=nothing)

    assert found.counts == {**dict.fromkeys(Verdict, 0), Verdict.EQUAL: 45, Verdict.MISSING: 4, Verdict.CHANGED: 1}
    assert (found.unkept, found.faults, found.columns) == (1, 6, {"price": 1})
    assert sorted(sample["verdict"] for sample in found.samples) == ["changed", "missing", "missing"]
    assert found.again == {0: [(5, 6), (50, 54), (59, 60)]}


def test_what_was_skipped_or_quarantined_is_not_demanded(tmp_path: Path) -> None:
    told = trades(50)
    excused = Excused(
        waiting=place_frame([(0, 5), (0, 20)]), kept=place_frame([(0, 5), (0, 20)]), left_out={0: [(10, 15)]}
    )
    rows = said(told).filter(~pl.col("source_offset").is_in([10, 11, 12, 13, 14, 20]))

    assert found_in(tmp_path, told, rows, buckets=(3, 3), excused=excused).faults == 0


def test_buckets_are_as_many_as_the_rows_want() -> None:
    assert [buckets_for(rows) for rows in (0, 1, BUCKET_ROWS + 1, 10**12)] == [1, 1, 2, MOST_BUCKETS]


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "gone", "rows", time="trade_ts", buckets=1)
    spill.add(said([FIRST]))

    with pytest.raises(SinkError, match="TMPDIR"):
        spill.bucket(0)


def test_a_bucket_that_was_written_before_grows(tmp_path: Path) -> None:
    spill = Spill(tmp_path, "rows", time="trade_ts", buckets=1)
    for count, one in enumerate((FIRST, NEWER), start=1):
        spill.add(said([one]))
        held = spill.bucket(0)
        assert held is not None
        assert held.height == count
