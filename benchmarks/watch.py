"""Watches the backends that write into a table: when the work begins and ends, and what they do in between."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import psycopg

EVERY = 0.02
"""Seconds between two looks: the resolution of everything that is told here."""
_LOOK = """
SELECT a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client' AS busy,
       CASE WHEN a.state <> 'active' THEN 'client: ' || a.state
            WHEN a.wait_event_type IS NULL THEN 'running'
            ELSE a.wait_event_type || ': ' || a.wait_event END AS doing,
       EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.relation = %(table)s::regclass
               AND l.granted AND (l.mode = 'RowExclusiveLock'
                   OR l.mode = 'AccessShareLock' AND a.backend_xid IS NOT NULL)) AS writing
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
"""


@dataclass(slots=True)
class Seen:
    """What was seen: times are of the monotonic clock.

    ``begin`` is when a backend first held the lock that a write into the table takes, ``end`` when one was last seen
    with it: from the first write to the last commit, whatever the system, without its start and its end. A look into
    the table counts where its transaction writes anything: rows that are there already need no more.
    """

    begin: float | None = None
    end: float | None = None
    busy: list[bool] = field(default_factory=list)
    """One for each look since ``begin``: whether any backend worked, instead of waiting for its client."""
    doing: Counter[str] = field(default_factory=Counter)
    """What each backend did at each look since ``begin``."""
    last: int = 0
    """How many looks there were until ``end``."""

    @property
    def seconds(self) -> float:
        """How long the work took; no shorter than what can be told."""
        return max(EVERY, (self.end or 0.0) - (self.begin or 0.0) + EVERY)

    @property
    def busy_share(self) -> float:
        """The share of the work in which a backend was busy."""
        looks = self.busy[: self.last]
        return sum(looks) / len(looks) if looks else 0.0


class Watch:
    """Looks every 20 ms, on a thread and a connection of its own; ``each`` is called with every look."""

    def __init__(self, url: str, table: str, each: Callable[[bool], None]) -> None:
        self.seen = Seen()
        self._table = table
        self._each = each
        self._connection = psycopg.connect(url, autocommit=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._failure: BaseException | None = None

    @property
    def backend(self) -> int:
        """The process id of the watch's own backend, whose CPU time is nobody's."""
        return self._connection.info.backend_pid

    def position(self) -> str:
        """Say how far the write-ahead log is."""
        row = self._connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        return str(row[0]) if row else ""

    def written_since(self, position: str) -> int:
        """Give the bytes of write-ahead log since then."""
        row = self._connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)::bigint", [position]
        ).fetchone()
        return int(row[0]) if row else 0

    def settle(self) -> None:
        """Write out what is dirty, so that no system pays for the one before it."""
        self._connection.execute("CHECKPOINT")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> Seen:
        """Look no more; give what was seen."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self.seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()

    def _watch(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                self._look()
                due = max(due + EVERY, time.monotonic())
                self._stop.wait(due - time.monotonic())
        except psycopg.Error as error:
            self._failure = error

    def _look(self) -> None:
        rows = self._connection.execute(_LOOK, {"table": self._table}).fetchall()
        now, seen = time.monotonic(), self.seen
        writing = any(row[2] for row in rows)
        if writing and seen.begin is None:
            seen.begin = now
        if seen.begin is not None:
            seen.busy.append(any(row[0] for row in rows))
            seen.doing.update(row[1] for row in rows)
        if writing:
            seen.end, seen.last = now, len(seen.busy)
        self._each(writing)
