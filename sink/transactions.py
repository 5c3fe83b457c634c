"""Transactions of one connection: bounded by server and client, each of them durable or abandoned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg import sql

from sink.db.connect import cut_after
from sink.db.errors import translate
from sink.db.sqlstates import Fault, fault_of
from sink.errors import DeadlineError, DefinitionError, OversizeError, SinkError, TransientError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a transaction, in seconds, and how far ahead of the database's clock a time may lie.

    ``statement_timeout``, ``lock_timeout`` and ``idle_timeout`` are the server's, for each statement and wait in it.
    ``deadline`` is for the whole transaction, COMMIT included: the server's (PostgreSQL 17 and newer), and a little
    later ours, which cuts the connection of a server that is silent. Meanwhile the thread that owns the consumer polls
    on, so that none of them decides on membership; a third of max.poll.interval.ms keeps one flush from being the
    reason that a revoked partition waits long.
    """

    deadline: float = 100
    grace: float = 5
    """How much later than the server's deadline ours is."""
    lock_timeout: float = 15
    claim_patience: float = 10
    """How long a claim waits for the flush of the partition's present owner before it ends that owner's backend."""
    statement_timeout: float = 60
    idle_timeout: float = 30
    future_tolerance: timedelta = timedelta(days=1)


class UnlistedError(SinkError):
    """The database answered with an error that the sink has no rule for."""


class Transactions:
    """Owns one connection; one that is lost or in doubt is closed, and the next transaction opens another.

    ``table`` is the dataset's, which must stay the one that the first transaction has seen.
    """

    def __init__(self, *, table: str, connect: Callable[[], psycopg.Connection], limits: Limits) -> None:
        self._table_name = table
        self._connect = connect
        self._limits = limits
        self.answered: bool | None = None
        """Whether the last transaction came to its end, None before the first; read on any thread."""
        self._connection: psycopg.Connection | None = None
        self._table_id: int | None = None
        """The table's object id: another one under the same name has lost the rows that the positions vouch for."""

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, first: sql.Composed | None = None) -> Iterator[psycopg.Cursor]:
        """Run one transaction; after it, it is durable, or an error says that it may not be.

        ``first`` is sent with its beginning, without a round trip of its own; the cursor has its answer.
        """
        try:
            connection = self._open()
            with cut_after(connection, self._limits.deadline + self._limits.grace), connection.cursor() as cursor:
                self._begin(cursor, first)
                yield cursor
                if connection.info.transaction_status is not psycopg.pq.TransactionStatus.INTRANS:
                    raise TransientError("the transaction broke before its COMMIT")
                cursor.execute("COMMIT")
                # a transaction in which an error was swallowed answers COMMIT with ROLLBACK, and raises nothing
                if cursor.statusmessage != "COMMIT":
                    raise TransientError(f"the database answered COMMIT with {cursor.statusmessage}")
            self.answered = True
        except BaseException as error:
            self._abandon()
            told = _translated(error) if isinstance(error, psycopg.Error) else error
            # a batch that is too large for it the database has refused, but it has answered
            self.answered = not isinstance(told, TransientError) or isinstance(told, OversizeError)
            if told is not error:
                raise told from error
            raise

    def _open(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _abandon(self) -> None:
        # After any error the connection's state is not known well enough; a new one costs milliseconds. Closing it
        # ends the transaction on the server.
        self.close()

    def _begin(self, cursor: psycopg.Cursor, first: sql.Composed | None) -> None:
        """Begin a bounded transaction, and see in the same round trip that the table is still the one we began with."""
        limits = self._limits
        settings = _LOCAL_SETTINGS.format(
            deadline=_milliseconds(limits.deadline),
            lock=_milliseconds(limits.lock_timeout),
            statement=_milliseconds(limits.statement_timeout),
            idle=_milliseconds(limits.idle_timeout),
            table=sql.Literal(self._table_name),
        )
        cursor.execute(sql.SQL(";").join([sql.SQL("BEGIN"), settings, *([] if first is None else [first])]))
        cursor.nextset()  # behind the answer to BEGIN
        row = cursor.fetchone()
        cursor.nextset()
        table = row[0] if row else None
        if self._table_id is None:
            self._table_id = table
        elif table != self._table_id:
            raise DefinitionError(
                f"table {self._table_name} was dropped while the sink ran: its rows are gone, the positions are not."
                " Make it again (sink migrate, or from a backup), reset the group's offsets in Kafka to where it ends"
                " (kafka-consumer-groups --reset-offsets), then start the sink again"
            )


def _milliseconds(seconds: float) -> sql.Literal:
    return sql.Literal(f"{int(seconds * 1000)}ms")


# Local to the transaction, so that a pooler may stand between. synchronous_commit is raised to at least 'on' and never
# lowered from 'remote_apply'; without the path, a login called sink would look for tables in the schema of its name.
_LOCAL_SETTINGS = sql.SQL("""
SELECT to_regclass('public.' || quote_ident({table}))::oid,
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
           WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),
       set_config('search_path', 'public', true),
       set_config('TimeZone', 'UTC', true),
       CASE WHEN current_setting('server_version_num')::int >= 170000
           THEN set_config('transaction_timeout', {deadline}, true) END,
       set_config('lock_timeout', {lock}, true),
       set_config('statement_timeout', {statement}, true),
       set_config('idle_in_transaction_session_timeout', {idle}, true)
""")


_KINDS: Mapping[Fault, tuple[type[SinkError], str]] = {
    Fault.TRANSIENT: (TransientError, "the database cannot take the batch now"),
    Fault.SLOW: (DeadlineError, "the database took too long for the batch"),
    Fault.OVERSIZE: (OversizeError, "the database refused the size of the batch"),
    Fault.DEFINITION: (DefinitionError, "the database is not as the sink needs it"),
}


def _translated(error: psycopg.Error) -> SinkError:
    """Say with the words that serve every command what the error means for a flush: wait, halve or halt."""
    sentence = str(translate(error))
    kind, lead = _KINDS.get(
        fault_of(error, written=frozenset()), (UnlistedError, "the database answered with an error that has no rule")
    )
    return kind(f"{lead}: {sentence}", sqlstate=error.sqlstate)
