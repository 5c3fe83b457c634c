"""Writes the rows of one flush inside an open transaction: fast path, newest-wins upsert, bisection of bad rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import polars as pl
import psycopg
from psycopg import errors, sql
from sqlalchemy import Table

from sink import rows
from sink.batch import CHUNK, MESSAGE, BadRow
from sink.datasets import Dataset
from sink.db.copy import copy_into, encoded
from sink.db.models import table_of
from sink.db.sqlstates import Fault, fault_of
from sink.db.upsert import drop_known, flushed_columns, upsert_stage

LONGEST_PAUSE = 64
"""Most flushes that go without a try of the fast path."""


@dataclass(slots=True)
class Written:
    """What became of the rows, counted by the partition they came from.

    ``accepted`` counts the rows that the database took, ``changed`` those of them that were newer than what stood
    there; ``refused`` holds (chunk, bad row) of the others.
    """

    accepted: Counter[int] = field(default_factory=Counter)
    changed: Counter[int] = field(default_factory=Counter)
    refused: list[tuple[int, BadRow]] = field(default_factory=list)


class RowWriter:
    """Writes rows of one dataset, and remembers whether the fast path pays.

    The fast path copies straight into the hypertable, which is right where no key exists yet. One duplicate key undoes
    the copy (savepoint) and the rows take the staging table and the upsert. After such a miss the next flushes go to
    the upsert at once; the fast path is tried again after 1, 2, 4 ... 64 of them.

    Where the upsert changed less than half of the rows, as in a replay, the next flush first looks which ones are there
    already. That is done only where the rows span no more time than a chunk: every chunk more is one more look for
    each row, and three make it dearer than the upsert.
    """

    def __init__(self, dataset: Dataset, target: Table | None = None) -> None:
        """Write into the dataset's own table, or into ``target``, which has its columns and its key."""
        self._dataset = dataset
        table = table_of(dataset.model) if target is None else target
        self.columns = flushed_columns(table)
        self._table = sql.Identifier(*filter(None, (table.schema, table.name)))
        stage = f"stage_{dataset.name}"
        self._stage = sql.Identifier(stage)
        # rows are left of an earlier statement of the same transaction, after an error that bisects
        self._begin_rows = sql.SQL(
            "SAVEPOINT rows;"
            " CREATE TEMP TABLE IF NOT EXISTS {stage} (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;"
            " DELETE FROM {stage}"
        ).format(stage=self._stage, table=self._table)
        self._drop_known: Callable[[datetime, datetime], sql.Composed] = partial(drop_known, table, stage, dataset.time)
        self._upsert = sql.SQL(
            "WITH written AS ({} RETURNING source_partition)"
            " SELECT source_partition, count(*) FROM written GROUP BY source_partition"
        ).format(upsert_stage(table, stage))
        self._pause = 0
        self._until_probe = 0
        self._mostly_known = False

    def write(self, cursor: psycopg.Cursor, newest: rows.Newest, data: bytes) -> Written:
        """Write the winners, encoded as ``data``; where the database refuses one, its runner-up takes its place."""
        written = Written()
        if not newest.winners.height:
            return written
        if self._until_probe == 0:
            if self._copied(cursor, data):
                written.accepted.update(rows.count_by_partition(newest.winners))
                written.changed.update(written.accepted)
                return written
        else:
            self._until_probe -= 1
        self._bisect(cursor, newest, data, written)
        self._mostly_known = 2 * written.changed.total() < written.accepted.total()
        return written

    def _copied(self, cursor: psycopg.Cursor, data: bytes) -> bool:
        """Try the fast path; False means that nothing was written."""
        cursor.execute("SAVEPOINT fast_path")
        try:
            copy_into(cursor, self._table, self.columns, data)
        except errors.UniqueViolation:
            cursor.execute("ROLLBACK TO SAVEPOINT fast_path")
            self._pause = min(max(1, self._pause * 2), LONGEST_PAUSE)
            self._until_probe = self._pause
            return False
        except psycopg.Error as error:
            if self._fault(error) is not Fault.DATA:
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT fast_path")
            return False
        # the savepoint is left to COMMIT: to release it takes a round trip
        self._pause = 0
        return True

    def _bisect(self, cursor: psycopg.Cursor, newest: rows.Newest, data: bytes, written: Written) -> None:
        """Upsert the winners; on an error of data halve them until the bad rows stand alone: O(k log n) statements."""
        cursor.execute(self._begin_rows)
        try:
            counts = self._upserted(cursor, newest.winners, data)
        except psycopg.Error as error:
            if self._fault(error) is not Fault.DATA:
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT rows")
            cursor.execute("RELEASE SAVEPOINT rows")
            if newest.winners.height == 1:
                self._refuse(cursor, newest, written, error)
                return
            middle = newest.winners.height // 2
            for half in (newest.winners[:middle], newest.winners[middle:]):
                part = rows.Newest(winners=half, displaced=newest.displaced)
                self._bisect(cursor, part, self._encoded(half), written)
            return
        cursor.execute("RELEASE SAVEPOINT rows")
        written.accepted.update(rows.count_by_partition(newest.winners))
        written.changed.update(counts)

    def _refuse(self, cursor: psycopg.Cursor, newest: rows.Newest, written: Written, error: psycopg.Error) -> None:
        # A valid older version was displaced by the refused one. Its offset passes with this flush, so it must be
        # written now or it is lost.
        chunk, message = newest.winners.select(CHUNK, MESSAGE).row(0)
        bad = BadRow(index=message, reason="rejected", error=_sentence(error), sqlstate=error.sqlstate)
        written.refused.append((chunk, bad))
        next_best = rows.runner_up(newest.displaced, newest.winners, self._dataset)
        if next_best.winners.height:
            self._bisect(cursor, next_best, self._encoded(next_best.winners), written)

    def _upserted(self, cursor: psycopg.Cursor, winners: pl.DataFrame, data: bytes) -> dict[int, int]:
        """Upsert rows, encoded as ``data``, by way of the empty stage; give by partition how many were newer."""
        copy_into(cursor, self._stage, self.columns, data)
        if self._mostly_known and self._known(cursor, winners[self._dataset.time]) == winners.height:
            return {}
        return dict(cursor.execute(self._upsert).fetchall())

    def _known(self, cursor: psycopg.Cursor, times: pl.Series) -> int:
        """Take the rows out of the stage that are there already, where looking pays; say how many."""
        first, last = times.min(), times.max()
        if not (isinstance(first, datetime) and isinstance(last, datetime)) or last - first > self._dataset.chunk:
            return 0
        cursor.execute(self._drop_known(first, last))
        cursor.nextset()
        return cursor.rowcount

    def _encoded(self, winners: pl.DataFrame) -> bytes:
        return encoded(winners.select(self.columns))

    def _fault(self, error: psycopg.Error) -> Fault:
        return fault_of(error, written=frozenset(self.columns))


def _sentence(error: psycopg.Error) -> str:
    # DETAIL quotes the row, and primary messages may quote values; the constraint's name and the class say enough
    constraint = error.diag.constraint_name
    return f"the database refused the row: {type(error).__name__}" + (f" ({constraint})" if constraint else "")
