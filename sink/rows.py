"""What happens to the rows of a flush before they are written: validate, deduplicate, sort. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from sink.batch import CHUNK, MESSAGE, BadRow
from sink.datasets import Dataset
from sink.db.upsert import ORDER

EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)
"""Nothing this package stores happened before; an earlier time is one in the wrong unit."""

_REASON, _ERROR = "reason", "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Rows that fit their columns, and those that do not: (chunk, bad row)."""

    good: pl.DataFrame
    bad: list[tuple[int, BadRow]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest version of every key, sorted by key, and the versions that they displaced."""

    winners: pl.DataFrame
    displaced: pl.DataFrame


def not_yet_durable(frame: pl.DataFrame, starts: Mapping[int, int]) -> pl.DataFrame:
    """Keep the rows of the partitions named, from each one's start on."""
    start = pl.col("source_partition").replace_strict(
        list(starts), list(starts.values()), default=None, return_dtype=pl.Int64
    )
    return frame.filter(pl.col("source_offset") >= start)


def check(frame: pl.DataFrame, dataset: Dataset, *, latest: datetime) -> Checked:
    """Find the rows that do not fit: missing keys, text PostgreSQL refuses, times out of range, no ``observed_at``."""
    faults = _faults(dataset, latest)
    if not frame.select(pl.any_horizontal(wrong for wrong, _ in faults).any()).item():
        return Checked(good=frame, bad=[])
    # only now the words: a column of text for each fault takes most of the time
    verdict = pl.coalesce(pl.when(wrong).then(pl.lit(reason)) for wrong, reason in faults)
    judged = frame.with_columns(verdict.alias(_REASON))
    bad = judged.filter(pl.col(_REASON).is_not_null()).select(CHUNK, MESSAGE, _REASON)
    return Checked(
        good=judged.filter(pl.col(_REASON).is_null()).drop(_REASON),
        bad=[
            (chunk, BadRow(index=message, reason=reason.split(":", 1)[0], error=reason.split(":", 1)[1].strip()))
            for chunk, message, reason in bad.iter_rows()
        ],
    )


def newest(frame: pl.DataFrame, dataset: Dataset) -> Newest:
    """Keep the greatest order tuple of every key and sort by key, so that two writers never meet in opposite order."""
    key = list(dataset.key)
    ordered = frame.sort(key)
    if not _same_key_as_next(ordered, key).any():
        return Newest(winners=ordered, displaced=ordered.clear())
    ordered = frame.sort([*key, *ORDER])
    displaced = _same_key_as_next(ordered, key)
    return Newest(winners=ordered.filter(~displaced), displaced=ordered.filter(displaced))


def _same_key_as_next(ordered: pl.DataFrame, key: Sequence[str]) -> pl.Series:
    """Say for each row whether the row behind it has the same key."""
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-1) for name in key)
    return ordered.select(same.fill_null(value=False)).to_series()


def runner_up(displaced: pl.DataFrame, loser: pl.DataFrame, dataset: Dataset) -> Newest:
    """Give the next newest version of the key of ``loser`` (one row), and what is displaced without it."""
    same_key = displaced.join(loser.select(dataset.key), on=list(dataset.key), how="semi")
    winner = same_key.sort(ORDER).tail(1)
    rest = displaced.join(
        winner.select("source_partition", "source_offset"), on=["source_partition", "source_offset"], how="anti"
    )
    return Newest(winners=winner, displaced=rest)


def count_by_partition(frame: pl.DataFrame) -> dict[int, int]:
    """Count rows by the partition they came from."""
    return dict(frame.group_by("source_partition").len().iter_rows())


def count_late(frame: pl.DataFrame, dataset: Dataset, *, before: datetime) -> dict[int, int]:
    """Count by partition the rows older than the table's retention: written, but dropped at the next run."""
    return count_by_partition(frame.filter(pl.col(dataset.time) < before))


def event_times(frame: pl.DataFrame, dataset: Dataset) -> dict[int, tuple[datetime, datetime]]:
    """Give the first and last event time by partition."""
    time = pl.col(dataset.time)
    grouped = frame.group_by("source_partition").agg(time.min().alias("first"), time.max().alias("last"))
    return {partition: (first, last) for partition, first, last in grouped.iter_rows()}


def _faults(dataset: Dataset, latest: datetime) -> Sequence[tuple[pl.Expr, str]]:
    """Give what is wrong with a row, each with its reason; the first that holds counts."""
    earliest = pl.lit(EARLIEST).cast(pl.Datetime("us", "UTC"))
    end = pl.lit(latest).cast(pl.Datetime("us", "UTC"))
    faults = [(pl.col(name).is_null(), f"null_key: {name} is missing") for name in dataset.required]
    faults += [
        (pl.col(name).str.contains("\x00", literal=True), f"text: {name} holds a NUL character")
        for name in dataset.texts
    ]
    length = pl.col("symbol").str.len_chars()
    faults.append((~length.is_between(1, 64), "text: symbol must have 1 to 64 characters"))
    faults.append(
        (pl.col("observed_at").is_null(), "no_observed_at: the message does not say when its values were observed")
    )
    for name in (dataset.time, "observed_at"):
        implausible = f"ts_range: {name} lies before 2009 or too far ahead; times are UTC microseconds"
        faults.append(((pl.col(name) < earliest) | (pl.col(name) > end), implausible))
    return faults
