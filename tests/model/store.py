"""The proof's own database: made once for a process, emptied between schedules, put back to an earlier state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from sink.datasets import Dataset
from sink.db.connect import conninfo
from tests.fix_database import in_database, temporary_database
from tests.model.line import Lines
from tests.model.material import REFUSED, REFUSING

Row = tuple[Any, ...]

LINEAGE = ("observed_at", "source_partition", "source_offset")
_SWEEP_EVERY = 100
"""Schedules after which what they have deleted is swept away."""
_BOOKS = ("sink.positions", "sink.flushes", "sink.quarantine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All tables as they stood, as COPY gives them, and each partition's position."""

    tables: dict[str, bytes]


class Store:
    """One database, as its administrator sees it; ``lines`` are the sink's own connections to it."""

    def __init__(self, url: URL) -> None:
        assert url.database is not None
        self._admin = psycopg.connect(**_arguments(url), autocommit=True)
        writer = in_database(url.render_as_string(hide_password=False), url.database, user="sink_writer")
        self.lines = Lines(_arguments(writer))
        self._emptied = 0
        # Nothing here survives a crash of the server, nor need it: its own promises are not what is to be proved, and
        # every COMMIT that need not wait for the disk is a schedule sooner done. The datasets stay real hypertables.
        self._admin.execute("SET synchronous_commit = off")
        for table in _BOOKS:
            self._admin.execute(f"ALTER TABLE {table} SET UNLOGGED".encode())
        for table, column in REFUSING.items():
            self._admin.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT proof CHECK ({} <> {})").format(
                    sql.Identifier(table), sql.Identifier(column), sql.Literal(REFUSED)
                )
            )

    def close(self) -> None:
        """Close every connection."""
        self.lines.close()
        self._admin.close()

    def empty(self, dataset: Dataset) -> None:
        """Take everything out. DELETE, because TRUNCATE drops a hypertable's chunks, which takes ten times as long."""
        self._emptied += 1
        for table in (dataset.name, *_BOOKS):
            self._admin.execute(f"DELETE FROM {table}".encode())
            if self._emptied % _SWEEP_EVERY == 0:
                self._admin.execute(f"VACUUM {table}".encode())

    def snapshot(self, dataset: Dataset) -> Snapshot:
        """Keep the present state."""
        tables = {}
        for table in (dataset.name, *_BOOKS):
            with self._admin.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT binary)".encode()) as copy:
                tables[table] = b"".join(bytes(piece) for piece in copy)
        return Snapshot(tables=tables)

    def restore(self, dataset: Dataset, snapshot: Snapshot | None) -> None:
        """Put an earlier state back, or None for an empty database."""
        self.empty(dataset)
        for table, data in (snapshot.tables if snapshot else {}).items():
            with self._admin.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)".encode()) as copy:
                copy.write(data)

    def positions(self) -> dict[int, int]:
        """Give the position of every partition."""
        rows = self._admin.execute("SELECT partition, next_offset FROM sink.positions").fetchall()
        return dict(rows)

    def standings(self) -> list[tuple[int, int, int, int | None]]:
        """Give each partition's position, the number of its present claim, and that of the claim which wrote last."""
        return self._admin.execute(
            "SELECT p.partition, p.next_offset, p.claim_seq, (SELECT f.claim_seq FROM sink.flushes f"
            " WHERE f.partition = p.partition ORDER BY f.id DESC LIMIT 1) FROM sink.positions p"
        ).fetchall()

    def rows(self, dataset: Dataset) -> list[Row]:
        """Give the dataset's rows by key: contract columns and lineage."""
        columns = ", ".join((*dataset.columns, *LINEAGE))
        return self._admin.execute(
            f"SELECT {columns} FROM {dataset.name} ORDER BY {', '.join(dataset.key)}".encode()
        ).fetchall()

    def quarantined(self) -> dict[tuple[int, int], Row]:
        """Give by partition and offset: reason, SQLSTATE, key, value, record time, when replayed."""
        rows = self._admin.execute(
            'SELECT partition, "offset", reason, sqlstate, key, value, kafka_at, replayed_at FROM sink.quarantine'
        ).fetchall()
        return {(row[0], row[1]): tuple(row[2:]) for row in rows}

    def ledger(self) -> list[Row]:
        """Give the ledger in order: partition, from, to, kind, claim, messages, and the sum of what became of them."""
        return self._admin.execute(
            "SELECT partition, from_offset, to_offset, kind, claim_seq, messages,"
            " rows_written + rows_not_newer + rows_deduplicated + ignored + quarantined FROM sink.flushes ORDER BY id"
        ).fetchall()


@contextmanager
def temporary_store(server: str, template: str) -> Iterator[Store]:
    """Make a store on the server, and drop it afterwards."""
    with temporary_database(server, template=template) as url:
        store = Store(url)
        try:
            yield store
        finally:
            store.close()


def _arguments(url: URL) -> dict[str, Any]:
    return conninfo(make_url(url).render_as_string(hide_password=False))
