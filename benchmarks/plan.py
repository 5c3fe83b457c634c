"""The workloads: what is sent, into which table, and what changes from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sink.errors import ConfigError

ROWS = 1_000_000
"""Messages of a workload, unless it says otherwise."""
SYMBOLS = 64
"""Instruments of every workload, so that each of up to 64 partitions has some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """A backlog that is read as fast as a system can.

    ``versions`` is how often each key is sent; ``batch`` the messages of a transaction, None for each system's own
    choice; ``replay`` reads everything a second time, into the table that already has it.
    """

    name: str
    title: str
    dataset: str = "trades"
    rows: int = ROWS
    versions: int = 1
    partitions: int = 4
    batch: int | None = None
    replicas: int = 1
    replay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Messages that are produced while a system runs, at ``rate`` a second; None is as fast as they can be produced."""

    name: str
    title: str
    rate: int | None
    rows: int
    partitions: int = 4
    dataset: str = "trades"
    versions: int = 1


Workload = Bulk | Stream


def workloads(rows: int = ROWS) -> dict[str, Workload]:
    """Give all workloads by name, with ``rows`` messages where nothing else is their point."""
    bulk = [
        Bulk(name="load", title="first load, then the same again", rows=rows, replay=True),
        Bulk(name="candles", title="each key 20 times", dataset="candles_1m", rows=rows, versions=20),
        *(
            Bulk(name=f"batch-{size // 1000}k", title=f"batches of {size:,}", rows=rows, batch=size)
            for size in (2_000, 5_000, 10_000, 20_000, 50_000)
        ),
        *(
            Bulk(name=f"partitions-{count}", title=f"partitions: {count}", rows=rows, partitions=count)
            for count in (1, 16, 64)
        ),
        Bulk(name="replicas-2", title="two replicas", rows=rows, replicas=2),
        Bulk(name="rows-x10", title="ten times the rows", rows=10 * rows),
    ]
    streams = [
        Stream(name="latency-1000", title="1,000 messages/s", rate=1_000, rows=max(1_000, 20 * rows // 1_000)),
        Stream(name="latency-5000", title="5,000 messages/s", rate=5_000, rows=max(5_000, 100 * rows // 1_000)),
        Stream(name="latency-full", title="as fast as they can be produced", rate=None, rows=rows),
    ]
    found: list[Workload] = [*bulk, *streams]
    return {workload.name: workload for workload in found}


def chosen(names: Sequence[str], rows: int) -> list[Workload]:
    """Give the named workloads, all where none is named. Raises ConfigError for an unknown one."""
    known = workloads(rows)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"no workload is called {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names or known]
