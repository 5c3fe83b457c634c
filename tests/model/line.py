"""Connections of a schedule: real ones, on which statements and COMMITs fail, or their caller dies, when told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import psycopg
from psycopg import errors, sql
from psycopg.rows import TupleRow

Effect = Literal[
    "refused",
    "error",
    "killed",
    "swallowed",
    "commit_lost_undone",
    "commit_lost_done",
    "killed_before_commit",
    "killed_after_commit",
    "swallowed_at_commit",
]


class Killed(BaseException):
    """The process died here; nothing of it runs any more."""


@dataclass(slots=True, kw_only=True)
class Fate:
    """What goes wrong next on one member's connection, once.

    Effects of a statement come when ``after`` further ones have run; those of COMMIT at the next one that made
    something durable. ``happened`` counts what did come.
    """

    happened: Counter[str]
    effect: Effect | None = None
    after: int = 0
    sqlstate: str = "40001"
    changing: bool = field(default=False)
    """Whether the open transaction has changed anything."""

    def arm(self, effect: Effect, *, after: int = 0, sqlstate: str = "40001") -> None:
        """Say what goes wrong next."""
        self.effect, self.after, self.sqlstate = effect, after, sqlstate

    def take(self, *effects: Effect) -> Effect | None:
        """Give the effect if it is among these, once, and count it."""
        if self.effect not in effects:
            return None
        taken, self.effect = self.effect, None
        self.happened[f"{taken} {self.sqlstate}" if taken == "error" else taken] += 1
        return taken

    def due(self) -> bool:
        """Count a statement; say whether it is the one."""
        self.after -= 1
        return self.after < 0


class FatefulCursor(psycopg.Cursor[TupleRow]):
    """A cursor on which fate strikes."""

    @property
    def fate(self) -> Fate:
        """What goes wrong on this connection."""
        return self._line.fate

    @property
    def _line(self) -> Line:
        connection = self.connection
        assert isinstance(connection, Line)
        return connection

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        """Run a statement, unless fate has it otherwise."""
        if query == "COMMIT":
            return self._commit()
        if isinstance(query, sql.Composed) and query.as_string().startswith("BEGIN;"):
            self.fate.changing = False
        self._meet_fate()
        if isinstance(query, str) and not query.lstrip().startswith("SELECT"):
            self.fate.changing = True
        super().execute(query, params, **options)
        self._swallow("swallowed")
        return self

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        """Run a statement many times, unless fate has it otherwise."""
        self._meet_fate()
        super().executemany(query, params_seq, **options)

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """Copy, unless fate has it otherwise."""
        self._meet_fate()
        return super().copy(statement, params, **options)

    def _meet_fate(self) -> None:
        fate = self.fate
        if fate.effect not in {"error", "killed"} or not fate.due():
            return
        sqlstate = fate.sqlstate
        if fate.take("error", "killed") == "killed":
            raise Killed
        raise errors.lookup(sqlstate)("fate")

    def _swallow(self, effect: Effect) -> None:
        """Break the transaction and tell nobody, as a swallowed error does; only where something was changed."""
        fate = self.fate
        if fate.effect != effect or not fate.changing or (effect == "swallowed" and not fate.due()):
            return
        fate.take(effect)
        with suppress(psycopg.errors.DivisionByZero):
            psycopg.Cursor(self.connection).execute("SELECT 1 / 0")

    def _commit(self) -> Self:
        fate = self.fate
        if not fate.changing:
            return super().execute("COMMIT")
        self._swallow("swallowed_at_commit")
        if fate.take("killed_before_commit"):
            raise Killed
        if fate.take("commit_lost_undone"):
            super().execute("ROLLBACK")
            raise psycopg.OperationalError("fate: the connection was lost before COMMIT")
        super().execute("COMMIT")
        self._line.pool.on_commit()
        if fate.take("killed_after_commit"):
            raise Killed
        if fate.take("commit_lost_done"):
            raise psycopg.OperationalError("fate: the connection was lost after COMMIT")
        return self


class Line(psycopg.Connection[TupleRow]):
    """A connection that goes back to its pool, rolled back, when it is closed: to open a new one takes far longer."""

    fate: Fate
    pool: Lines

    def close(self) -> None:
        """Undo what is open and let others have it."""
        if self.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
            psycopg.Cursor(self).execute("ROLLBACK")
        self.pool.give_back(self)


class Lines:
    """The connections of one worker process."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._idle: list[Line] = []
        self.on_commit: Callable[[], None] = _nobody
        """Hears of every COMMIT that made something durable."""

    def take(self, fate: Fate, cursor: type[FatefulCursor]) -> Line:
        """Give a connection with a fate of its own."""
        if fate.take("refused"):
            raise psycopg.OperationalError("fate: connection refused")
        line = self._idle.pop() if self._idle else Line.connect(**self._arguments, autocommit=True)
        line.pool, line.fate, line.cursor_factory = self, fate, cursor
        return line

    def give_back(self, line: Line) -> None:
        """Keep a connection for later, once."""
        if line not in self._idle:
            self._idle.append(line)

    def close(self) -> None:
        """Close all."""
        for line in self._idle:
            psycopg.Connection.close(line)
        self._idle.clear()


def _nobody() -> None:
    """Stand for nobody who listens."""
