"""The named steps of claim, flush and rebalance at which a process can be struck, and how a process notices them.

Nothing in ``sink/`` knows of this: the parts are wrapped from outside, in the process that is to be struck.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

import psycopg

from sink import ledger
from sink.flush import Flusher
from sink.kafka.consumer import TopicConsumer
from sink.pipeline import Pipeline
from sink.write import RowWriter


class Turn(Protocol):
    """One step's turns: the process goes past it some times before it is struck there."""

    def come(self) -> bool:
        """Count one more time; say whether this is the one."""

    def strike(self) -> None:
        """Strike the process."""


Install = Callable[[Turn], None]


def _put(owner: Any, name: str, replacement: Any) -> None:
    setattr(owner, name, replacement)


def _reach(turn: Turn) -> None:
    if turn.come():
        turn.strike()


def _before(owner: Any, name: str) -> Install:
    """Strike when a function is called."""

    def install(turn: Turn) -> None:
        real = getattr(owner, name)

        @wraps(real)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            _reach(turn)
            return real(*arguments, **options)

        _put(owner, name, wrapped)

    return install


def _after(owner: Any, name: str) -> Install:
    """Strike when a function has done its work."""

    def install(turn: Turn) -> None:
        real = getattr(owner, name)

        @wraps(real)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            outcome = real(*arguments, **options)
            _reach(turn)
            return outcome

        _put(owner, name, wrapped)

    return install


def _executed(words: str, method: str = "execute") -> Install:
    """Strike when a statement that begins with these words was answered (executemany: and had rows)."""

    def install(turn: Turn) -> None:
        real = getattr(psycopg.Cursor, method)

        @wraps(real)
        def wrapped(self: psycopg.Cursor, query: Any, params: Any = None, **options: Any) -> Any:
            outcome = real(self, query, params, **options)
            if isinstance(query, str) and query.startswith(words) and (method == "execute" or params):
                _reach(turn)
            return outcome

        _put(psycopg.Cursor, method, wrapped)

    return install


def _half_copied(turn: Turn) -> None:
    """Strike when half of a COPY's rows are on their way to the server, which waits for the others."""
    real = psycopg.Copy.write

    @wraps(real)
    def wrapped(self: psycopg.Copy, buffer: bytes) -> None:
        middle = len(buffer) // 2
        real(self, buffer[:middle])
        _reach(turn)
        real(self, buffer[middle:])

    _put(psycopg.Copy, "write", wrapped)


def _commit_sent(turn: Turn) -> None:
    """Strike when a flush's COMMIT is on its way: the server runs it, nobody reads its answer."""
    real = psycopg.Cursor.execute
    advanced: list[bool] = []
    real_advance = ledger.advance

    @wraps(real_advance)
    def advance(*arguments: Any) -> None:
        real_advance(*arguments)
        advanced.append(True)

    @wraps(real)
    def execute(self: psycopg.Cursor, query: Any, *arguments: Any, **options: Any) -> Any:
        if query == "COMMIT" and advanced:
            advanced.clear()
            if turn.come():
                connection = self.connection.pgconn
                connection.send_query(b"COMMIT")
                while connection.flush():
                    pass
                turn.strike()
                raise psycopg.OperationalError("whoever wakes up here has not read the answer")
        return real(self, query, *arguments, **options)

    _put(ledger, "advance", advance)
    _put(psycopg.Cursor, "execute", execute)


CLAIM: dict[str, Install] = {
    "claim: before it begins": _before(Flusher, "claim"),
    "claim: row made": _executed("INSERT INTO sink.positions", "executemany"),
    "claim: row locked": _executed("UPDATE sink.positions SET claim_token"),
    "claim: start stored": _after(ledger, "claim"),
    "claim: durable": _after(Flusher, "claim"),
}
REWIND: dict[str, Install] = {
    "claim: rewind recorded": _executed("UPDATE sink.positions SET next_offset = %s WHERE"),
}
FLUSH: dict[str, Install] = {
    "flush: before it begins": _before(Flusher, "flush"),
    "flush: locked": _after(ledger, "locked"),
    "flush: half copied": _half_copied,
    "flush: copied": _after(RowWriter, "_copied"),
    "flush: fast path missed": _executed("ROLLBACK TO SAVEPOINT fast_path"),
    "flush: upserted": _after(RowWriter, "_upserted"),
    "flush: row refused": _executed("ROLLBACK TO SAVEPOINT rows"),
    "flush: quarantined": _executed("INSERT INTO sink.quarantine", "executemany"),
    "flush: recorded": _after(ledger, "record"),
    "flush: advanced": _after(ledger, "advance"),
    "flush: COMMIT sent": _commit_sent,
    "flush: durable": _after(Flusher, "flush"),
    "offsets: before their commit": _before(TopicConsumer, "commit_offsets"),
    "offsets: after their commit": _after(TopicConsumer, "commit_offsets"),
}
REVOKE: dict[str, Install] = {
    "revoke: told": _before(Pipeline, "revoked"),
    "revoke: done": _after(Pipeline, "revoked"),
}
STEPS: dict[str, Install] = CLAIM | REWIND | FLUSH | REVOKE
