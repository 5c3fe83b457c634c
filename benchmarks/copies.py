"""What a bare COPY of trades costs: the collation of symbols, the order of the rows, one connection and two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import polars as pl
import psycopg
from psycopg import sql

from benchmarks import compare, measure
from benchmarks.generator import flushed, generate
from benchmarks.plan import Bulk
from benchmarks.systems import SYSTEMS
from benchmarks.systems.limit import BATCH
from benchmarks.world import World
from sink.datasets import DATASETS
from sink.db.copy import copy_into, encoded

_TRADES = DATASETS["trades"]
_LINEAGE = "source_partition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A way to copy: the collation of symbols, the order of a batch's rows, over how many connections at once."""

    title: str
    collation: str = "C"
    arrange: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows.sort(list(_TRADES.key))
    connections: int = 1


KINDS = (
    Kind(title="as the sink does: symbols by bytes, rows by key, one connection"),
    Kind(title="symbols by the database's collation", collation="default"),
    Kind(title="rows as they come", arrange=lambda rows: rows),
    Kind(title="two connections, half of the partitions each", connections=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Rows a second, and CPU seconds of the backends for a million rows, by turn."""

    kind: Kind
    rates: Sequence[float]
    costs: Sequence[float]

    def __str__(self) -> str:
        rates = ", ".join(f"{rate:,.0f}" for rate in self.rates)
        costs = f"{mean(self.costs):.1f} CPU s a million in the mean ({min(self.costs):.1f}-{max(self.costs):.1f})"
        return f"{self.kind.title}: median {median(self.rates):,.0f} rows/s ({rates}); {costs}"


def play(world: World, *, rows: int, rounds: int, now: datetime, directory: Path) -> Iterator[Turns]:
    """Copy the same rows in every way, in turns, each into an empty table, which must be right afterwards."""
    if world.database_pid is None:
        raise ValueError("the server's processes must be on this machine, to be measured")
    generated = generate(Bulk(name="copies", title="copies", rows=rows), now=now, directory=directory)
    sent = flushed(generated, _TRADES.name)
    pieces = {kind: [_encoded(part, kind) for part in _divided(sent, kind.connections)] for kind in KINDS}
    turns: dict[Kind, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in (*KINDS[number % len(KINDS) :], *KINDS[: number % len(KINDS)]):
            with world.database(SYSTEMS["limit"]) as url, ExitStack() as opened:
                dsn = url.replace("+psycopg", "")
                _compare_by(dsn, kind.collation)
                connections = [opened.enter_context(psycopg.connect(dsn)) for _ in pieces[kind]]
                seconds, cost = _at_once(connections, pieces[kind], sent.columns)
                if wrong := compare.difference(connections[0], _TRADES.name, generated):
                    raise RuntimeError(f"{kind.title}: {wrong}")
            turns[kind].append((rows / seconds, cost / rows * 1e6))
    for kind, played in turns.items():
        yield Turns(kind=kind, rates=[rate for rate, _ in played], costs=[cost for _, cost in played])


def _divided(sent: pl.DataFrame, connections: int) -> list[pl.DataFrame]:
    return [sent.filter(pl.col(_LINEAGE) % connections == number) for number in range(connections)]


def _encoded(rows: pl.DataFrame, kind: Kind) -> list[bytes]:
    """Encode rows in batches; all connections together have those of one batch on the way."""
    return [encoded(kind.arrange(part)) for part in rows.iter_slices(BATCH // kind.connections)]


def _compare_by(dsn: str, collation: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        statement = sql.SQL("ALTER TABLE {} ALTER COLUMN symbol TYPE text COLLATE {}")
        connection.execute(statement.format(sql.Identifier(_TRADES.name), sql.Identifier(collation)))
        connection.execute("CHECKPOINT")


def _at_once(
    connections: Sequence[psycopg.Connection], pieces: Sequence[list[bytes]], columns: list[str]
) -> tuple[float, float]:
    """Let each connection copy its pieces, all at once; give the seconds, and the CPU seconds of their backends."""

    def write(connection: psycopg.Connection, mine: list[bytes]) -> float:
        before = measure.seconds(connection.info.backend_pid)
        for piece in mine:
            with connection.cursor() as cursor:
                copy_into(cursor, sql.Identifier(_TRADES.name), columns, piece)
            connection.commit()
        return measure.seconds(connection.info.backend_pid) - before

    began = perf_counter()
    with ThreadPoolExecutor(len(connections)) as pool:
        costs = list(pool.map(write, connections, pieces))
    return perf_counter() - began, sum(costs)
