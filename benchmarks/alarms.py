"""Watches beside the caller what a Prometheus alerts, and how old the newest durable trade is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from benchmarks.beside import repeated
from benchmarks.prometheus import Alert, Prometheus

LOOK_EVERY = 1.0
"""Seconds between two looks at the alerts."""
AGE_EVERY = 0.1
"""Seconds between two looks at the newest trade."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """An alert while it lasted; times in Unix seconds, None for what has not been."""

    name: str
    labels: dict[str, str]
    phase: str
    """What was going on when it was first seen."""
    pending_at: float | None = None
    firing_at: float | None = None
    over_at: float | None = None


_Key = tuple[str, tuple[tuple[str, str], ...]]
"""Name and labels of an alert."""


@dataclass(slots=True)
class Alarms:
    """Every alert that was pending or firing; one that comes again counts again."""

    seen: list[Seen] = field(default_factory=list)
    phase: str = ""
    _now: dict[_Key, Seen] = field(default_factory=dict)

    def look(self, alerts: Sequence[Alert], at: float) -> None:
        """Take what Prometheus says at a moment."""
        for gone in self._now.keys() - {(alert.name, alert.labels) for alert in alerts}:
            self._now.pop(gone).over_at = at
        for alert in alerts:
            key = (alert.name, alert.labels)
            if key not in self._now:
                self._now[key] = Seen(name=alert.name, labels=dict(alert.labels), phase=self.phase)
                self.seen.append(self._now[key])
            one = self._now[key]
            if alert.state == "firing":
                one.firing_at = one.firing_at or at
            else:
                one.pending_at = one.pending_at or at

    @property
    def firing(self) -> set[str]:
        """The names of those that fire now."""
        return {one.name for one in self._now.values() if one.firing_at is not None}

    def fired(self, *, start: float, end: float) -> set[str]:
        """Name those that began to fire within a time, in Unix seconds."""
        return {one.name for one in self.seen if one.firing_at is not None and start <= one.firing_at <= end}


@dataclass(slots=True)
class Ages:
    """How old the newest durable trade of the worst partition was at each look: Unix seconds, and seconds."""

    looks: list[tuple[float, float]] = field(default_factory=list)

    def largest(self, *, start: float, end: float) -> float:
        """Give the greatest age within a time."""
        return max((age for at, age in self.looks if start <= at <= end), default=float("inf"))

    def percentile(self, share: float, *, start: float, end: float) -> float:
        """Give a percentile of the ages within a time."""
        ages = sorted(age for at, age in self.looks if start <= at <= end)
        return ages[int(share * (len(ages) - 1))] if ages else float("inf")


@contextmanager
def watched(prometheus: Prometheus) -> Iterator[Alarms]:
    """Look at the alerts until the block is left."""
    alarms = Alarms()
    with repeated(lambda: alarms.look(prometheus.alerts(), time.time()), every=LOOK_EVERY, name="alarms"):
        yield alarms


@contextmanager
def aged(url: str, symbols: Sequence[str]) -> Iterator[Ages]:
    """Look at the newest trade of each symbol until the block is left; events and looks use this machine's clock."""
    ages = Ages()
    newest = sql.SQL("(SELECT max(trade_ts) FROM trades WHERE symbol = {})")
    query = sql.SQL("SELECT extract(epoch FROM least({}))::float8").format(
        sql.SQL(", ").join(newest.format(symbol) for symbol in symbols)
    )
    with psycopg.connect(url, autocommit=True) as connection:

        def look() -> None:
            (at,) = connection.execute(query).fetchone() or (None,)
            now = time.time()
            if at is not None:
                ages.looks.append((now, now - at))

        with repeated(look, every=AGE_EVERY, name="ages"):
            yield ages
