"""The memory of the sink while its database stalls in the middle of a backlog, with its default settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from benchmarks.compare import difference
from benchmarks.plan import Bulk
from benchmarks.processes import Gone
from benchmarks.systems import SYSTEMS
from benchmarks.trial import backlog, finish, started
from benchmarks.world import World

MIB = 1024 * 1024
LIMIT = 400 * MIB
_LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """Highest resident memory in bytes, up to the stall and up to its end; ``durable`` messages when it began.

    ``wrong`` says what the table has wrong once everything is durable.
    """

    rows: int
    durable: int
    seconds: float
    before: int
    after: int
    wrong: str | None

    @property
    def good(self) -> bool:
        """Whether the stall met a backlog, the bar is kept and the table is right."""
        return self.durable < self.rows and self.after <= LIMIT and self.wrong is None


def play(world: World, *, rows: int, seconds: float) -> Stalled:
    """Let the sink read a backlog of trades, and lock it out of its positions for a while."""
    sink, workload = SYSTEMS["sink"], Bulk(name="stalled", title="a database that stalls", rows=rows)
    with backlog(world, sink, workload, now=datetime.now(UTC)) as made:
        job = made.job
        with started(sink, job) as (children, watch, _):
            while watch.seen.begin is None:
                if children.ended:
                    raise Gone(f"nothing was ever written:\n{children.output[-2000:]}")
                time.sleep(_LOOK_EVERY)
            with psycopg.connect(job.plain_url) as blocker:
                # as a failover or a vacuum that holds a table would: whoever flushes waits here
                blocker.execute("LOCK TABLE sink.positions IN ACCESS EXCLUSIVE MODE")
                row = blocker.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM sink.positions").fetchone()
                children.look()
                before, end = children.peak, time.monotonic() + seconds
                while time.monotonic() < end:
                    time.sleep(_LOOK_EVERY)
                    children.look()
            finish(world, sink, job, children)
            after = children.peak
        with psycopg.connect(job.plain_url) as connection:
            wrong = difference(connection, workload.dataset, made.generated)
    return Stalled(
        rows=rows, durable=int(row[0]) if row else 0, seconds=seconds, before=before, after=after, wrong=wrong
    )
