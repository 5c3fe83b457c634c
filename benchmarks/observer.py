"""Sees from outside when rows become readable: the newest trade of each symbol, every 10 ms, on its own connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import psycopg
from psycopg import sql

EVERY = 0.01
"""Seconds between two looks."""


@dataclass(slots=True)
class Looks:
    """What was seen: the microseconds of each answer that told something new, and the newest trade of each symbol."""

    at: list[int] = field(default_factory=list)
    newest: list[tuple[int, ...]] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """Seconds between an answer and the next, for every look."""

    def arrivals(self, symbol: int, sent: Sequence[int]) -> list[int]:
        """Give the first answer in which each of a symbol's trades was there, both in microseconds; times ascend.

        Rows of a symbol become durable in the order in which they were sent, so that a trade is there as soon as it or
        a later one is.
        """
        arrived, look = [], 0
        for moment in sent:
            while self.newest[look][symbol] < moment:
                look += 1
            arrived.append(self.at[look])
        return arrived


class Observer:
    """Looks until the block is left."""

    def __init__(self, url: str, symbols: Sequence[str]) -> None:
        self.looks = Looks()
        self._connection = psycopg.connect(url, autocommit=True)
        newest = sql.SQL(
            "coalesce((SELECT (extract(epoch FROM max(trade_ts)) * 1000000)::bigint FROM trades WHERE symbol = {}), 0)"
        )
        self._query = sql.SQL("SELECT {}").format(sql.SQL(", ").join(newest.format(symbol) for symbol in symbols))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="observer", daemon=True)

    def sees(self, moments: Sequence[int]) -> bool:
        """Say whether each symbol's newest trade is at or behind a moment."""
        newest = self.looks.newest
        return bool(newest) and all(seen >= wanted for seen, wanted in zip(newest[-1], moments, strict=True))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _watch(self) -> None:
        before = due = time.monotonic()
        while not self._stop.is_set():
            row = self._connection.execute(self._query).fetchone() or ()
            at, now = time.time_ns() // 1_000, time.monotonic()
            self.looks.gaps.append(now - before)
            if not self.looks.newest or row != self.looks.newest[-1]:
                self.looks.newest.append(row)
                self.looks.at.append(at)
            before = now
            due = max(due + EVERY, now)
            self._stop.wait(due - now)
