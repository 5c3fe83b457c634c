"""A session's private picture of what a dry run would leave behind, and how that differs from what stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import MetaData, Table

from sink.db.upsert import ORDER, flushed_columns

TEMPORARY = "pg_temp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row as it stands (None: not at all) and as it would be, by column."""

    before: dict[str, Any] | None
    after: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How many rows that came from a partition would be new, or replace others."""

    partition: int
    replacing: bool
    rows: int


class Picture:
    """The rehearsal's tables of one dataset, which last as long as the session; the real one is only read.

    A flush writes into ``target``, which takes and refuses what the real table does and is empty again after the
    transaction. What would change is kept in a second table, where the rows of later flushes meet it: a stretch that
    changes nothing costs one comparing query a flush.
    """

    def __init__(self, table: Table, *, time: str) -> None:
        self.target = table.to_metadata(MetaData(), schema=TEMPORARY, name=f"incoming_{table.name}")
        self._columns = flushed_columns(table)
        self._key = [column.name for column in table.primary_key]
        self._time = time
        self._table = sql.Identifier(table.name)
        self._incoming = sql.Identifier(TEMPORARY, self.target.name)
        self._kept = sql.Identifier(TEMPORARY, f"kept_{table.name}")

    def create(self, cursor: psycopg.Cursor) -> None:
        """Make the tables."""
        # as in a flush: a login called sink would look for tables in the schema of its name
        cursor.execute("SET search_path TO public")
        # so that what a flush meets again lies together, however much has been kept
        by_time = sorted(self._key, key=lambda name: name != self._time)
        for name, ending in ((self._incoming, "ON COMMIT DELETE ROWS"), (self._kept, "")):
            cursor.execute(
                sql.SQL(
                    "CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY ({})) {}"
                ).format(name, self._table, self._names(by_time), sql.SQL(ending))
            )

    def effects(self, cursor: psycopg.Cursor) -> list[Effect]:
        """Count what the rows in ``target`` would change; rows that are not newer change nothing."""
        rows = cursor.execute(
            sql.SQL("SELECT i.source_partition, {standing}, count(*) {changes} GROUP BY 1, 2").format(
                standing=self._standing(), changes=self._changes(cursor)
            )
        )
        return [Effect(partition=partition, replacing=there, rows=count) for partition, there, count in rows]

    def differences(self, cursor: psycopg.Cursor, count: int, *, replacing: bool) -> list[Difference]:
        """Give some rows that would be replaced, or some that would be new, in the order of keys."""
        if count <= 0:
            return []
        rows = cursor.execute(
            sql.SQL(
                "SELECT {after}, {before} {changes} AND {standing} = {replacing} ORDER BY {key} LIMIT {count}"
            ).format(
                after=self._names(self._columns, "i"),
                before=sql.SQL(", ").join(map(self._before, self._columns)),
                changes=self._changes(cursor),
                standing=self._standing(),
                replacing=sql.Literal(replacing),
                key=self._names(self._key, "i"),
                count=sql.Literal(count),
            )
        ).fetchall()
        width = len(self._columns)
        return [
            Difference(
                before=dict(zip(self._columns, row[width:], strict=True)) if replacing else None,
                after=dict(zip(self._columns, row[:width], strict=True)),
            )
            for row in rows
        ]

    def keep(self, cursor: psycopg.Cursor) -> None:
        """Let later flushes find what the rows in ``target`` would change."""
        cursor.execute(
            sql.SQL(
                "INSERT INTO {kept} ({columns}) SELECT {incoming} {changes}"
                " ON CONFLICT ({key}) DO UPDATE SET ({columns}) = ROW ({excluded})"
            ).format(
                kept=self._kept,
                columns=self._names(self._columns),
                incoming=self._names(self._columns, "i"),
                changes=self._changes(cursor),
                key=self._names(self._key),
                excluded=self._names(self._columns, "excluded"),
            )
        )

    def _changes(self, cursor: psycopg.Cursor) -> sql.Composed:
        """Join what comes in (i) with what was kept (k) and what really stands (r); leave what changes something."""
        first, last = cursor.execute(
            sql.SQL("SELECT min({0}), max({0}) FROM {1}").format(sql.Identifier(self._time), self._incoming)
        ).fetchone() or (None, None)
        return sql.SQL(
            "FROM {incoming} i LEFT JOIN ({kept}) k ON {same_kept} LEFT JOIN ({real}) r ON {same_real}"
            " WHERE (NOT {standing} OR ({newer}) > ({before}))"
        ).format(
            incoming=self._incoming,
            kept=self._between(self._kept, first, last),
            real=self._between(self._table, first, last),
            same_kept=self._same("k"),
            same_real=self._same("r"),
            standing=self._standing(),
            newer=self._names(ORDER, "i"),
            before=sql.SQL(", ").join(map(self._before, ORDER)),
        )

    def _between(self, table: sql.Identifier, first: datetime | None, last: datetime | None) -> sql.Composed:
        # literals: the planner leaves out all other chunks, and sees how many rows to expect
        return sql.SQL("SELECT * FROM {} WHERE {} BETWEEN {} AND {}").format(
            table, sql.Identifier(self._time), sql.Literal(first), sql.Literal(last)
        )

    def _standing(self) -> sql.Composed:
        """Say whether a row has the key of one that comes in; columns of the order are never NULL."""
        return sql.SQL("(k.{0} IS NOT NULL OR r.{0} IS NOT NULL)").format(sql.Identifier(ORDER[0]))

    def _before(self, column: str) -> sql.Composed:
        """Give a column as it would stand; what was kept is newer than what really stands."""
        return sql.SQL("CASE WHEN k.{0} IS NULL THEN r.{1} ELSE k.{1} END").format(
            sql.Identifier(ORDER[0]), sql.Identifier(column)
        )

    def _same(self, alias: str) -> sql.Composed:
        return sql.SQL(" AND ").join(
            sql.SQL("{0}.{1} = i.{1}").format(sql.Identifier(alias), sql.Identifier(name)) for name in self._key
        )

    def _names(self, names: Sequence[str], alias: str | None = None) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(*filter(None, (alias, name))) for name in names)
