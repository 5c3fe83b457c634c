"""A session's private copy of the rows that a dry run touches, and how the copy differs from what is to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import MetaData, Table

from sink.db.copy import copy_into
from sink.db.upsert import INGESTED, ORDER, flushed_columns

TEMPORARY = "pg_temp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row as it stands (None: not at all) and as it would be, by column."""

    before: dict[str, Any] | None
    after: dict[str, Any]


class Copy:
    """The rehearsal's tables of one dataset; ``target`` stands in for the real one while the session lasts."""

    def __init__(self, table: Table, *, time: str) -> None:
        self.target = table.to_metadata(MetaData(), schema=TEMPORARY, name=f"rehearsal_{table.name}")
        self.columns = flushed_columns(table)
        self._key = [column.name for column in table.primary_key]
        self._time = time
        self._table = sql.Identifier(table.name)
        self._copy = sql.Identifier(TEMPORARY, self.target.name)
        self._touched = sql.Identifier(f"touched_{table.name}")

    def create(self, cursor: psycopg.Cursor) -> None:
        """Make the tables; the real one is only read."""
        # as in a flush: a login called sink would look for tables in the schema of its name
        cursor.execute("SET search_path TO public")
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY ({}))").format(
                sql.Identifier(self.target.name), self._table, self._names(self._key)
            )
        )
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS").format(
                self._touched, self._table
            )
        )

    def touch(self, cursor: psycopg.Cursor, data: bytes) -> None:
        """Take in what is to be written (encoded, one row per key), and the rows that stand there, unless known."""
        copy_into(cursor, self._touched, self.columns, data)
        names = self._names([*self.columns, INGESTED], "t")
        # the bounds let the planner leave out all other chunks
        cursor.execute(
            sql.SQL(
                "INSERT INTO {copy} ({plain}) SELECT {names} FROM {table} t JOIN {touched} k ON {same}"
                " WHERE t.{time} >= (SELECT min({time}) FROM {touched})"
                " AND t.{time} <= (SELECT max({time}) FROM {touched}) ON CONFLICT DO NOTHING"
            ).format(
                copy=self._copy,
                plain=self._names([*self.columns, INGESTED]),
                names=names,
                table=self._table,
                touched=self._touched,
                same=self._same("t"),
                time=sql.Identifier(self._time),
            )
        )

    def present(self, cursor: psycopg.Cursor) -> int:
        """Count the keys to be written that have a row."""
        row = cursor.execute(
            sql.SQL("SELECT count(*) FROM {} k JOIN {} t ON {}").format(self._touched, self._copy, self._same("t"))
        ).fetchone()
        return int(row[0]) if row else 0

    def differences(self, cursor: psycopg.Cursor, count: int, *, replacing: bool) -> list[Difference]:
        """Give some rows that would be replaced, or some that would be new, in the order of keys."""
        if count <= 0:
            return []
        newer = sql.SQL("({}) > ({})").format(self._names(ORDER, "k"), self._names(ORDER, "t"))
        absent = sql.SQL("t.{} IS NULL").format(sql.Identifier(ORDER[0]))
        rows = cursor.execute(
            sql.SQL("SELECT {}, {} FROM {} k LEFT JOIN {} t ON {} WHERE {} ORDER BY {} LIMIT {}").format(
                self._names(self.columns, "k"),
                self._names(self.columns, "t"),
                self._touched,
                self._copy,
                self._same("t"),
                newer if replacing else absent,
                self._names(self._key, "k"),
                sql.Literal(count),
            )
        ).fetchall()
        width = len(self.columns)
        return [
            Difference(
                before=dict(zip(self.columns, row[width:], strict=True)) if replacing else None,
                after=dict(zip(self.columns, row[:width], strict=True)),
            )
            for row in rows
        ]

    def _same(self, alias: str) -> sql.Composed:
        return sql.SQL(" AND ").join(
            sql.SQL("{0}.{1} = k.{1}").format(sql.Identifier(alias), sql.Identifier(name)) for name in self._key
        )

    def _names(self, names: Sequence[str], alias: str | None = None) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(*filter(None, (alias, name))) for name in names)
