"""Compares a stretch of a topic with a table of any size in bounded memory: both go to disk, in buckets by time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from sink.avro.decode import Decoder
from sink.batch import Clock, Messages
from sink.datasets import Dataset
from sink.db.scan import Window
from sink.inspection.compare import FAULTS, WRONG, Scope, Verdict, compare, expected, places, versions
from sink.inspection.intervals import Interval, joined
from sink.inspection.spill import Spill, bucket_of, buckets_for

MOST_PLACES = 1_000_000
"""Places to be read again that are kept one by one; of more, only the first and last of each partition."""
_PLACES = pl.Schema({"source_partition": pl.Int32(), "source_offset": pl.Int64()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Excused:
    """Messages that need have no row."""

    waiting: pl.DataFrame
    """Partition and offset of what is in quarantine and never passed since."""
    kept: pl.DataFrame
    """Partition and offset of all that is in quarantine."""
    left_out: Mapping[int, Sequence[Interval]]
    """What the sink passed over, by partition."""


@dataclass(slots=True, kw_only=True)
class Found:
    """What came of a comparison."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    """How often a column of a CHANGED row differs."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the comparison, with their ``verdict``, as :func:`sink.inspection.compare.compare` names them."""
    unkept: int = 0
    """Bad messages that are not in quarantine."""
    again: dict[int, list[Interval]] = field(default_factory=dict)
    """The messages whose rows are missing or wrong, by partition."""

    @property
    def faults(self) -> int:
        """How many differences are none that can be explained."""
        return self.unkept + sum(self.counts[verdict] for verdict in FAULTS)


class Comparison:
    """First :meth:`read` the topic, then :meth:`hold` the table's rows, then :meth:`judge`.

    ``offsets`` is how many are read at most. It decides on the number of buckets, and the count of rows on how often
    each of them is divided: some 100,000 of either side are in memory at once.
    """

    def __init__(self, dataset: Dataset, *, decoder: Decoder, clock: Clock, directory: Path, offsets: int) -> None:
        self._dataset = dataset
        self._decoder = decoder
        self._clock: Clock = clock
        self._directory = directory
        self._buckets = buckets_for(offsets)
        self._parts = 1
        self._told = Spill(directory, "told", time=dataset.time, buckets=self._buckets)
        self._rows: Spill | None = None
        self._bad: list[pl.DataFrame] = []
        self._first: datetime | None = None
        self._last: datetime | None = None
        self.messages = 0

    @property
    def rows(self) -> int:
        """How many rows of the table are held."""
        return 0 if self._rows is None else self._rows.total

    @property
    def bad(self) -> int:
        """How many messages could not be decoded."""
        return sum(frame.height for frame in self._bad)

    @property
    def window(self) -> Window | None:
        """First and last time of the rows that the messages make."""
        return None if self._first is None or self._last is None else (self._first, self._last)

    def read(self, chunks: Iterable[Messages]) -> None:
        """Decode messages and keep what they say."""
        for messages in chunks:
            decoded = self._decoder.decode(messages)
            told = versions(messages, decoded, clock=self._clock)
            self._told.add(told)
            self.messages += len(messages)
            bad = [(messages.partitions[one.index], messages.offsets[one.index]) for one in decoded.bad]
            if bad:
                self._bad.append(place_frame(bad))
            if told.height:
                first, last = told.select(
                    first=pl.col(self._dataset.time).min(), last=pl.col(self._dataset.time).max()
                ).row(0)
                self._first = first if self._first is None else min(self._first, first)
                self._last = last if self._last is None else max(self._last, last)

    def hold(self, frames: Iterable[pl.DataFrame], *, rows: int) -> None:
        """Keep the rows of the table, of which there are about so many."""
        self._parts = -(-buckets_for(rows) // self._buckets)
        buckets = self._buckets * self._parts
        self._rows = Spill(self._directory, "rows", time=self._dataset.time, buckets=buckets)
        for frame in frames:
            self._rows.add(frame)

    def judge(self, scope: Scope, excused: Excused, *, samples: int) -> Found:
        """Compare; ``samples`` is how many rows of each kind of difference are kept."""
        found = Found()
        again = _Places()
        bad = pl.concat([pl.DataFrame(schema=_PLACES), *self._bad]).join(excused.kept, on=list(_PLACES), how="anti")
        unkept = bad.filter(~_within(excused.left_out))
        found.unkept = unkept.height
        again.add(unkept)
        for told, rows in self._pairs():
            forgiven = pl.concat([excused.waiting, places(told.filter(_within(excused.left_out)))])
            judged = compare(expected(told, forgiven, rows), rows, self._dataset, scope)
            self._note(judged, found, samples)
            again.add(places(judged.filter(pl.col("verdict").is_in([Verdict.MISSING.value, *_values(WRONG)]))))
        found.again = again.intervals()
        return found

    def _pairs(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Give what falls into the same bucket on both sides, where either has anything."""
        finest = self._buckets * self._parts
        for number in range(self._buckets):
            whole = self._told.bucket(number)
            for fine in range(number, finest, self._buckets):
                told = None if whole is None else whole.filter(bucket_of(self._dataset.time, finest) == fine)
                rows = None if self._rows is None else self._rows.bucket(fine)
                if told is not None:
                    yield told, told.clear() if rows is None else rows
                elif rows is not None:
                    yield rows.clear(), rows

    def _note(self, judged: pl.DataFrame, found: Found, samples: int) -> None:
        counts = dict(judged["verdict"].value_counts().iter_rows())
        for verdict in Verdict:
            count = counts.get(verdict.value, 0)
            room = samples - found.counts[verdict]
            found.counts[verdict] += count
            if count and room > 0 and verdict in FAULTS:
                found.samples += judged.filter(pl.col("verdict") == verdict.value).head(room).to_dicts()
        changed = judged.filter(pl.col("verdict") == Verdict.CHANGED.value)["differing"].explode()
        found.columns.update(dict(changed.value_counts().iter_rows()))


class _Places:
    """Partition and offset of many messages, in bounded memory."""

    def __init__(self) -> None:
        self._kept: list[pl.DataFrame] = []
        self._count = 0
        self._spans: dict[int, Interval] = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Add places."""
        self._kept.append(frame)
        self._count += frame.height
        if self._count > MOST_PLACES:
            for number, first, last in self._bounds():
                low, high = self._spans.get(number, (first, last + 1))
                self._spans[number] = (min(low, first), max(high, last + 1))
            self._kept, self._count = [], 0

    def intervals(self) -> dict[int, list[Interval]]:
        """Give them as intervals by partition."""
        found = {number: [span] for number, span in self._spans.items()}
        for frame in self._kept:
            for number, offset in frame.iter_rows():
                found.setdefault(number, []).append((offset, offset + 1))
        return {number: joined(intervals) for number, intervals in sorted(found.items())}

    def _bounds(self) -> Iterable[tuple[int, int, int]]:
        offset = pl.col("source_offset")
        return (
            pl.concat(self._kept)
            .group_by("source_partition")
            .agg(offset.min().alias("first"), offset.max().alias("last"))
            .iter_rows()
        )


def place_frame(found: Sequence[tuple[int, int]]) -> pl.DataFrame:
    """Make a frame of partitions and offsets."""
    return pl.DataFrame(found, schema=_PLACES, orient="row")


def _within(intervals: Mapping[int, Sequence[Interval]]) -> pl.Expr:
    inside = pl.lit(value=False)
    for number, stretches in intervals.items():
        for start, end in stretches:
            offset = pl.col("source_offset")
            inside |= (pl.col("source_partition") == number) & (offset >= start) & (offset < end)
    return inside


def _values(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.value for verdict in verdicts]
