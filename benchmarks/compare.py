"""A system's final table against the generator's rows: every contract column of every row, in the order of the key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import zip_longest

import psycopg
from psycopg import sql
from sqlalchemy import DateTime, Numeric

from benchmarks.generator import Generated
from sink.datasets import DATASETS
from sink.db.models import SCALE, contract_columns


def difference(connection: psycopg.Connection, dataset: str, generated: Generated) -> str | None:
    """Say where the table differs from what it must hold, None where it is the same to the last digit.

    The whole table is read as text in the order of its key and hashed, as the generator's rows were; only where the
    hashes differ are the lines compared one by one.
    """
    digest = hashlib.md5(usedforsecurity=False)
    for block in _blocks(connection, dataset):
        digest.update(block)
    if digest.hexdigest() == generated.digest:
        return None
    with generated.expected.open("rb") as expected:
        for number, (wanted, found) in enumerate(zip_longest(expected, _lines(connection, dataset)), start=1):
            if wanted != found:
                return f"row {number} of {generated.keys} is {found!r} and must be {wanted!r}"
    return "the hashes differ, yet all rows are the same"


def _blocks(connection: psycopg.Connection, dataset: str) -> Iterator[bytes]:
    table = DATASETS[dataset]
    columns = sql.SQL(", ").join(map(_text, contract_columns(table.model)))
    order = sql.SQL(", ").join(
        sql.SQL("{} COLLATE {}").format(sql.Identifier(name), sql.Identifier("C"))
        if name in table.texts
        else sql.Identifier(name)
        for name in table.key
    )
    query = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT").format(columns, sql.Identifier(table.name), order)
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        yield from map(bytes, copy)


def _lines(connection: psycopg.Connection, dataset: str) -> Iterator[bytes]:
    rest = b""
    for block in _blocks(connection, dataset):
        *lines, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in lines)


def _text(column: object) -> sql.Composable:
    name = sql.Identifier(getattr(column, "name", ""))
    kind = getattr(column, "type", None)
    if isinstance(kind, DateTime):
        return sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(name)
    if isinstance(kind, Numeric):
        return sql.SQL("{}::numeric(38, {})").format(name, sql.Literal(SCALE))
    return name
