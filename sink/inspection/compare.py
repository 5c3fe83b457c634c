"""Compares what the messages of a topic say with what a table holds, row by row and column by column. Pure.

On purpose this shares no code with the flush: which version of a key is the newest is worked out here anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import polars as pl
from polars import selectors as cs

from sink.batch import MESSAGE, Clock, Decoded, Messages
from sink.datasets import Dataset
from sink.db.scan import readable
from sink.inspection.intervals import Interval

_PLACE = ("source_partition", "source_offset")
_ORDER = ("observed_at", "source_offset", "source_partition")
_TABLE = "_table"
"""Ends the names of a row's columns beside those of the message."""


class Verdict(Enum):
    """What is said of one key."""

    EQUAL = "equal"
    MISSING = "missing"
    """The newest message of the key has no row."""
    STALE = "stale"
    """The row comes from an older version than the newest message."""
    CHANGED = "changed"
    """The row names the newest message, but a value of it is another."""
    MISNAMED = "misnamed"
    """The row claims to be newer than all messages, and names one of them that says otherwise."""
    UNEXPECTED = "unexpected"
    """No message has the key, though the row names one that was read."""
    EXPIRED = "expired"
    """No row, and retention has passed the time of the message."""
    OVERRIDDEN = "overridden"
    """The row was written by the repository (or by hand) after the newest message."""
    REPOSITORY = "repository"
    """The row was written by the repository (or by hand), and no message has the key."""
    LATER = "later"
    """The row comes from a message behind those that were read."""
    OUTSIDE = "outside"
    """The row comes from a message before those that were read, or of another partition: it cannot be judged."""


FAULTS = (Verdict.MISSING, Verdict.STALE, Verdict.CHANGED, Verdict.MISNAMED, Verdict.UNEXPECTED)
WRONG = (Verdict.STALE, Verdict.CHANGED, Verdict.MISNAMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What was read: offsets by partition, the partitions that the topic has, and how far back rows are kept."""

    ranges: Mapping[int, Interval]
    partitions: Collection[int]
    horizon: datetime | None
    """Rows before it may have been dropped."""


def versions(messages: Messages, decoded: Decoded, *, clock: Clock) -> pl.DataFrame:
    """Give what the good messages say: contract columns, ``observed_at``, partition and offset."""
    lineage = pl.DataFrame(
        {
            MESSAGE: pl.Series(range(len(messages)), dtype=pl.UInt32),
            "source_partition": pl.Series(messages.partitions, dtype=pl.Int32),
            "source_offset": pl.Series(messages.offsets, dtype=pl.Int64),
            "recorded": pl.Series(messages.timestamps, dtype=pl.Int64),
        }
    )
    frame = decoded.frame.join(lineage, on=MESSAGE, how="inner")
    if clock == "record":
        recorded = pl.when(pl.col("recorded") >= 0).then(pl.col("recorded")).cast(pl.Datetime("us", "UTC"))
        frame = frame.with_columns(recorded.alias("observed_at"))
    return frame.drop(MESSAGE, "recorded").with_columns(readable(cs.datetime()))


def places(frame: pl.DataFrame) -> pl.DataFrame:
    """Give partition and offset alone."""
    return frame.select(_PLACE)


def expected(told: pl.DataFrame, excused: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out messages that were excused (quarantined, skipped), unless a row says that they passed all the same."""
    still = excused.join(places(rows), on=_PLACE, how="anti")
    return told.join(still, on=_PLACE, how="anti") if still.height else told


def compare(told: pl.DataFrame, rows: pl.DataFrame, dataset: Dataset, scope: Scope) -> pl.DataFrame:
    """Give a verdict for every key of either side.

    Columns: ``verdict``, ``differing`` (names of columns, for CHANGED), the key, and of message and row (ending in
    ``_table``) the further columns, null where there is none.
    """
    key = list(dataset.key)
    newest = told.sort(_ORDER, nulls_last=False).unique(subset=key, keep="last", maintain_order=True)
    beside = [name for name in rows.columns if name not in key]
    stored = rows.rename({name: name + _TABLE for name in beside})
    both = newest.with_columns(_told=pl.lit(value=True)).join(
        stored.with_columns(_row=pl.lit(value=True)), on=key, how="full", coalesce=True
    )
    compared = [name for name in newest.columns if name not in (*key, *_PLACE)]
    differing = pl.concat_list(
        pl.when(~pl.col(name).eq_missing(pl.col(name + _TABLE))).then(pl.lit(name)) for name in compared
    ).list.drop_nulls()
    judged = both.with_columns(pl.col("_told", "_row").fill_null(value=False), differing.alias("differing"))
    return judged.with_columns(_verdict(dataset, scope).alias("verdict")).drop("_told", "_row")


def _verdict(dataset: Dataset, scope: Scope) -> pl.Expr:
    message, row = pl.col("_told"), pl.col("_row")
    both, same = message & row, _same_place()
    newer = _newer()
    by_hand = pl.col("source_offset" + _TABLE) < 0
    later, inside, foreign = _whereabouts(scope)
    expired = pl.lit(value=False)
    if scope.horizon is not None:
        expired = pl.col(dataset.time) < pl.lit(scope.horizon).cast(pl.Datetime("us", "UTC"))
    cases = [
        (both & same & (pl.col("differing").list.len() == 0), Verdict.EQUAL),
        (both & same, Verdict.CHANGED),
        (both & ~newer, Verdict.STALE),
        (both & by_hand, Verdict.OVERRIDDEN),
        (both & (inside | foreign), Verdict.MISNAMED),
        (message & ~row & expired, Verdict.EXPIRED),
        (message & ~row, Verdict.MISSING),
        (by_hand, Verdict.REPOSITORY),
        (inside | foreign, Verdict.UNEXPECTED),
        (later, Verdict.LATER),
    ]
    verdict = pl.lit(Verdict.OUTSIDE.value)
    for condition, name in reversed(cases):
        verdict = pl.when(condition.fill_null(value=False)).then(pl.lit(name.value)).otherwise(verdict)
    return verdict


def _same_place() -> pl.Expr:
    return pl.all_horizontal(pl.col(name) == pl.col(name + _TABLE) for name in _PLACE)


def _newer() -> pl.Expr:
    """Say whether the row's order tuple is greater than the message's."""
    newer = pl.lit(value=False)
    for name in reversed(_ORDER):
        ours, theirs = pl.col(name + _TABLE), pl.col(name)
        newer = (ours > theirs) | ((ours == theirs) & newer)
    return newer.fill_null(value=False)


def _whereabouts(scope: Scope) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Say of the message that a row names: behind what was read, among it, of a partition that does not exist."""
    partition, offset = pl.col("source_partition" + _TABLE), pl.col("source_offset" + _TABLE)
    later, inside = pl.lit(value=False), pl.lit(value=False)
    for number, (start, end) in scope.ranges.items():
        here = partition == number
        later |= here & (offset >= end)
        inside |= here & (offset >= start) & (offset < end)
    return later, inside, ~partition.is_in(sorted(scope.partitions))
