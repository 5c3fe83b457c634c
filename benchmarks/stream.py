"""Latency: from the moment at which an event was due to be produced until another connection can read its row.

A producer sends trades by a time-table. The time of each trade is the moment at which it was due, so that a producer
that falls behind makes the figures worse, never better. Producer and observer use the clock of this one machine. Every
figure is an upper bound, too long by one interval of the observer and one query at most; what these really were stands
in the result as ``resolution``.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles

import polars as pl
from confluent_kafka import Producer

from benchmarks.generator import Encoder, expect
from benchmarks.observer import Looks, Observer
from benchmarks.plan import Stream
from benchmarks.processes import Children, Gone
from benchmarks.results import Outcome
from benchmarks.systems.system import Job, System
from benchmarks.trial import compared, job_of, servers, started
from benchmarks.world import PRODUCER, World

WARM_UP = 200
"""Messages that are durable before the time-table begins: group joined, table open, chunk made."""
WARM_UP_RATE = 200
PATIENCE = 600.0
"""Seconds without a new row after which a system is taken to be stuck."""
_TICK = 0.002
_HUNDREDTHS = 100


@dataclass(slots=True, kw_only=True)
class Sender:
    """Produces trades by a time-table; each symbol has a partition of its own."""

    producer: Producer
    encoder: Encoder
    topic: str
    symbols: tuple[str, ...]
    sent: list[int]
    """When each trade was due, in microseconds of the epoch, strictly ascending; its index is its id."""
    late: float = 0.0
    """The most seconds by which the producer was behind its time-table."""

    def send(self, count: int, rate: int | None) -> None:
        """Produce so many trades; without a rate as fast as it goes."""
        begin, first = time.time(), len(self.sent)
        while (done := len(self.sent) - first) < count:
            now = time.time()
            if rate is not None and (ahead := begin + done / rate - now) > 0:
                self.producer.poll(min(ahead, _TICK))
                continue
            due = now if rate is None else begin + done / rate
            self.late = max(self.late, now - due)
            self._produce(max(round(due * 1_000_000), self.sent[-1] + 1 if self.sent else 0))
        self.producer.flush(120)

    def _produce(self, due: int) -> None:
        number = len(self.sent)
        row = self.row(number, due)
        self.sent.append(due)
        while True:
            try:
                self.producer.produce(self.topic, self.encoder.encode(row), partition=number % len(self.symbols))
            except BufferError:
                self.producer.poll(0.1)
            else:
                return

    def row(self, number: int, due: int) -> dict[str, int | str | bool | None]:
        """Make one trade."""
        place = number % len(self.symbols)
        return {
            "symbol": self.symbols[place],
            "trade_ts": due,
            "trade_id": number,
            "price": 1_000_000_000 + number * 1_009,
            "quantity": 1 + number,
            "is_buyer_maker": number % 2 == 0,
            "side": "sell" if number % 2 == 0 else "buy",
            "partition": place,
        }

    def frame(self) -> pl.DataFrame:
        """Give everything that was sent as columns."""
        rows = [self.row(number, due) for number, due in enumerate(self.sent)]
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def newest(self) -> list[int]:
        """Give when each symbol's last trade was due; 0 where none was sent."""
        return [max(self.sent[place :: len(self.symbols)], default=0) for place in range(len(self.symbols))]


def stream_trial(world: World, system: System, workload: Stream) -> Outcome:
    """Let a system follow a topic while messages are produced; compare its table as for a backlog."""
    outcome = Outcome(system=system.name, workload=workload.name, phase="stream", rows=workload.rows, keys=0)
    with (
        world.database(system) as url,
        world.topic(workload) as (topic, schema_id),
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
    ):
        job = job_of(world, workload, topic, url, Path(folder) / "stream")
        sender = Sender(
            producer=Producer({**PRODUCER, "bootstrap.servers": world.bootstrap_servers}),
            encoder=Encoder(workload.dataset, schema_id),
            topic=topic,
            symbols=tuple(f"COIN{place:02}USDT" for place in range(workload.partitions)),
            sent=[],
        )
        try:
            outcome = _measured(world, system, job, sender, outcome)
        except Gone as error:
            return replace(outcome, failure=str(error))
        finally:
            shutil.rmtree(job.directory)
        generated = expect(sender.frame(), workload.dataset, Path(folder) / "expected.tsv")
        return compared(replace(outcome, keys=generated.keys), job, generated)


def _measured(world: World, system: System, job: Job, sender: Sender, outcome: Outcome) -> Outcome:
    assert isinstance(job.workload, Stream)  # noqa: S101 - for the types: the caller has just made it
    with started(system, job) as (children, watch, _), Observer(job.plain_url, sender.symbols) as observer:
        sender.send(WARM_UP, WARM_UP_RATE)
        _arrive(sender, observer, system, children)
        observer.looks.gaps.clear()
        sender.late, before, begin = 0.0, children.cpu(), time.monotonic()
        with servers(world, watch) as used:
            sender.send(job.workload.rows, job.workload.rate)
            _arrive(sender, observer, system, children)
            seconds = time.monotonic() - begin
            cpu_database, cpu_broker, wal, steal = used()
        cpu = children.cpu() - before
        watch.stop()
        children.terminate()
    return replace(
        outcome,
        seconds=seconds,
        rows_per_second=outcome.rows / seconds,
        cpu=cpu,
        cpu_database=cpu_database,
        cpu_broker=cpu_broker,
        peak_memory=children.peak,
        wal_bytes=wal,
        steal_percent=steal,
        latency=_latency(sender, observer.looks),
    )


def _arrive(sender: Sender, observer: Observer, system: System, children: Children) -> None:
    """Wait until everything that was sent can be read."""
    looks, since = 0, time.monotonic()
    while not observer.sees(sender.newest):
        if children.ended or system.complaint(children.output) is not None:
            raise Gone(f"ended too soon:\n{children.output[-2000:]}")
        if len(observer.looks.at) > looks:
            looks, since = len(observer.looks.at), time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise Gone(f"no new row within {PATIENCE:g} s:\n{children.output[-2000:]}")
        time.sleep(0.05)


def _latency(sender: Sender, looks: Looks) -> Mapping[str, float]:
    """Give percentiles in milliseconds, and how well they can be told."""
    step = len(sender.symbols)
    taken: list[float] = []
    for place in range(step):
        first = WARM_UP + (place - WARM_UP) % step
        sent = sender.sent[first::step]
        taken += [(seen - due) / 1_000 for due, seen in zip(sent, looks.arrivals(place, sent), strict=True)]
    cuts = quantiles(taken, n=10 * _HUNDREDTHS, method="inclusive")
    return {
        **{name: cuts[permille - 1] for name, permille in _CUTS.items()},
        "max": max(taken),
        "resolution": 1_000 * quantiles(looks.gaps, n=_HUNDREDTHS, method="inclusive")[-1],
        "producer_late": 1_000 * sender.late,
    }


_CUTS = {"p50": 500, "p90": 900, "p99": 990, "p99.9": 999}
