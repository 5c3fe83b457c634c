"""What it costs a flush that its chunk does not exist yet: COPY into a chunk that is there, and into a new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from threading import Barrier
from time import perf_counter

import psycopg

from benchmarks.systems import SYSTEMS
from benchmarks.world import World
from sink.datasets import DATASETS

SIZES = (100, 20_000)
CONNECTIONS = (1, 4)
_COPY = "COPY trades (symbol, trade_ts, trade_id, price, quantity, is_buyer_maker) FROM STDIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Milliseconds of a transaction, COMMIT included, whose chunk exists and whose chunk it makes."""

    connections: int
    rows: int
    """Of each transaction."""
    there: Sequence[float]
    new: Sequence[float]

    def __str__(self) -> str:
        there, new = (f"{median(one):.1f} (at most {max(one):.1f})" for one in (self.there, self.new))
        return f"{self.connections} at once, {self.rows} rows: chunk there {there} ms, new chunk {new} ms"


def play(world: World, *, rounds: int, now: datetime) -> Iterator[Compared]:
    """Compare for each number of connections and rows; both kinds take turns, each in a stretch of time of its own."""
    with world.database(SYSTEMS["sink"]) as url, ExitStack() as opened:
        dsn = url.replace("+psycopg", "")
        connections = [opened.enter_context(psycopg.connect(dsn)) for _ in range(max(CONNECTIONS))]
        begin, chunk = now, DATASETS["trades"].chunk
        for count in CONNECTIONS:
            for rows in SIZES:
                times: dict[bool, list[float]] = {True: [], False: []}
                for turn in range(2 * rounds):
                    begin += 2 * chunk  # so that no chunk is shared with the turn before
                    exists = turn % 2 == 0
                    if exists:
                        _copy(connections[0], "FIRST", begin, 1)
                    times[exists] += _at_once(connections[:count], begin, rows)
                yield Compared(connections=count, rows=rows, there=times[True], new=times[False])


def _at_once(connections: Sequence[psycopg.Connection], begin: datetime, rows: int) -> list[float]:
    """Let each connection write rows of a symbol of its own, all at once; give the milliseconds of each."""
    barrier = Barrier(len(connections))

    def write(number: int) -> float:
        barrier.wait()
        start = perf_counter()
        _copy(connections[number], f"S{number}", begin, rows)
        return 1000 * (perf_counter() - start)

    with ThreadPoolExecutor(len(connections)) as pool:
        return list(pool.map(write, range(len(connections))))


def _copy(connection: psycopg.Connection, symbol: str, begin: datetime, rows: int) -> None:
    lines = "".join(f"{symbol}\t{begin.isoformat()}\t{number}\t64000.1\t0.5\tt\n" for number in range(rows))
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write(lines)
    connection.commit()
