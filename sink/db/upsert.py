"""The only newest-wins SQL, built from a table for its two users: the flush and the repository.

A stored row gives way only to a greater order tuple (:data:`ORDER`), never to a merely different one, so that the same
messages in any order and any number of times leave the same table. Key columns and ``created_at`` are never updated:
the first is the row's identity (and compressed chunks refuse it), the second says when the row first came in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from psycopg import sql
from sqlalchemy import Numeric, Table, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

ORDER = ("observed_at", "source_offset", "source_partition")
"""The columns that say which of two versions of a row is newer; total for messages, so a replay never regresses."""

INGESTED = "created_at"
"""Filled by PostgreSQL when the row is first written, and never again."""


def flushed_columns(table: Table) -> list[str]:
    """Name the columns that a flush writes: all but ``created_at``, in the table's order."""
    return [column.name for column in table.columns if column.name != INGESTED]


def upsert_stage(table: Table, stage: str) -> sql.Composed:
    """Build the flush's upsert: whole rows from a staging table, each replacing only what is strictly older.

    ``stage`` is the name of a table with the columns of :func:`flushed_columns`, one row per primary key. The statement
    takes no parameters; its row count is inserted plus replaced rows.
    """
    return _upsert(table, flushed_columns(table), sql.Identifier(stage), newer=sql.SQL(">"), kept=())


def drop_known(table: Table, stage: str, time: str, first: datetime, last: datetime) -> sql.Composed:
    """Build the statements that take out of a staging table what the upsert would leave as it stands.

    Looking is half the price of the upsert, which locks every row that it finds, and writes that to the log, before it
    compares. ``first`` and ``last`` bound the stage's times, so that the planner sees only the chunks in between. The
    second result's row count is that of the rows taken out; what is left has to be upserted all the same.

    What may be taken out: a stored tuple only ever grows, so a row that is not newer now never will be. Somebody who
    deletes the stored row at the same time has deleted it after us, as far as anybody can tell; one who had done so
    before this statement began is seen, and the row is written again. Who inserts at the same time meets the upsert.

    Joins other than nested loops are off meanwhile: the planner would rather read and hash a whole chunk than look up
    20,000 keys in it. All in one round trip.
    """
    return sql.SQL(
        "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true); "
        "DELETE FROM {stage} AS incoming USING {table} AS stored "
        "WHERE {same} AND stored.{time} BETWEEN {first} AND {last} AND ({stored}) >= ({incoming}); "
        "SET LOCAL enable_hashjoin = DEFAULT; SET LOCAL enable_mergejoin = DEFAULT"
    ).format(
        stage=sql.Identifier(stage),
        table=_qualified(table),
        same=sql.SQL(" AND ").join(
            sql.SQL("stored.{0} = incoming.{0}").format(sql.Identifier(column.name)) for column in table.primary_key
        ),
        time=sql.Identifier(time),
        first=sql.Literal(first),
        last=sql.Literal(last),
        stored=sql.SQL(", ").join(map(_stored, ORDER)),
        incoming=sql.SQL(", ").join(sql.SQL("incoming.{}").format(sql.Identifier(name)) for name in ORDER),
    )


def upsert_arrays(table: Table, columns: Sequence[str], kept: Collection[str]) -> sql.Composed:
    """Build the repository's upsert: rows from one array per column, replacing what is not newer.

    ``columns`` are written, each taking one list of equal length as a positional parameter, one row per primary key;
    exact numbers come as text. Where a column of ``kept`` is NULL, the stored value stays. Lineage that is not among
    ``columns`` becomes its default.
    """
    arrays = sql.SQL(", ").join(_array(table.columns[name].type) for name in columns)
    source = sql.SQL("unnest({}) AS source ({})").format(arrays, _names(columns))
    return _upsert(table, columns, source, newer=sql.SQL(">="), kept=kept)


def _upsert(
    table: Table, columns: Sequence[str], source: sql.Composable, *, newer: sql.SQL, kept: Collection[str]
) -> sql.Composed:
    key = [column.name for column in table.primary_key]
    written = {*columns, *ORDER} - {*key, INGESTED}
    updated = [column.name for column in table.columns if column.name in written]
    return sql.SQL(
        "INSERT INTO {table} AS stored ({columns}) SELECT {columns} FROM {source} "
        "ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE ({incoming}) {newer} ({present})"
    ).format(
        table=_qualified(table),
        columns=_names(columns),
        source=source,
        key=_names(key),
        updates=sql.SQL(", ").join(_keep(name) if name in kept else _replace(name) for name in updated),
        incoming=sql.SQL(", ").join(map(_incoming, ORDER)),
        newer=newer,
        present=sql.SQL(", ").join(map(_stored, ORDER)),
    )


def _qualified(table: Table) -> sql.Identifier:
    return sql.Identifier(*filter(None, (table.schema, table.name)))


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _incoming(column: str) -> sql.Composed:
    return sql.SQL("EXCLUDED.{}").format(sql.Identifier(column))


def _stored(column: str) -> sql.Composed:
    return sql.SQL("stored.{}").format(sql.Identifier(column))


def _replace(column: str) -> sql.Composed:
    return sql.SQL("{} = {}").format(sql.Identifier(column), _incoming(column))


def _keep(column: str) -> sql.Composed:
    return sql.SQL("{} = COALESCE({}, {})").format(sql.Identifier(column), _incoming(column), _stored(column))


def _array(kind: TypeEngine[Any]) -> sql.Composed:
    """Take a list in binary form, an eighth of the time of text for timestamps; numbers are the exception.

    A list of Decimal takes twice the time of the same list as text, in either form.
    """
    element = Text() if isinstance(kind, Text) else kind  # a collation stands behind the brackets, and the table has it
    name = sql.SQL(element.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy's
    return sql.SQL("%b::text[]::{}[]" if isinstance(kind, Numeric) else "%b::{}[]").format(name)
