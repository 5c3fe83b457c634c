"""A day of candles is lost under load, found, foretold, restored and proven; the lag of two replicas is watched."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from confluent_kafka import Producer

from benchmarks.beside import repeated
from benchmarks.generator import DAYS_AGO, Encoder
from benchmarks.plan import SYMBOLS, Bulk
from benchmarks.processes import Children
from benchmarks.systems import SYSTEMS
from benchmarks.systems.system import Command, Job, System
from benchmarks.trial import backlog
from benchmarks.world import PRODUCER, World, clean_environment

MINUTES = 1440
DAYS = 3
LOAD_RATE = 500
"""Messages a second while everything else goes on."""
USUAL = 30.0
"""Seconds for which the usual lag is watched."""
_LAG_EVERY = 0.5
_TICK = 0.01
_DATASET = "candles_1m"
_DIFFERENT = 7
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """The lag of the live replicas, in messages: median, 95th percentile and maximum of its samples."""

    samples: int
    median: float
    p95: float
    maximum: int

    @classmethod
    def of(cls, samples: Sequence[int]) -> Lag:
        """Sum up samples."""
        ordered = sorted(samples)
        return cls(
            samples=len(ordered),
            median=median(ordered),
            p95=ordered[int(0.95 * (len(ordered) - 1))],
            maximum=ordered[-1],
        )


@dataclass(slots=True, kw_only=True)
class Scene:
    """What the scene showed; seconds of each command by its name."""

    deleted: int = 0
    found_missing: int = 0
    foretold_inserts: int = 0
    written: int = 0
    replay_rate: float = 0.0
    last: Mapping[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    usual: Lag | None = None
    meanwhile: Lag | None = None

    @property
    def good(self) -> bool:
        """Whether exactly what was deleted was found, foretold and restored, and nothing else differs."""
        counts = {self.deleted, self.found_missing, self.foretold_inserts, self.written}
        return counts == {MINUTES * SYMBOLS} and set(self.last) <= {"equal", "later"}

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        return {"good": self.good, **asdict(self)}


class Stage:
    """Servers, a database and what the commands of the scene need to know."""

    def __init__(self, world: World, job: Job, system: System) -> None:
        self.world = world
        self.job = job
        self.system = system
        self.scene = Scene()
        self._environment = {**clean_environment(), **system.command(job).environment}

    def sink(self, name: str, *arguments: str, codes: Sequence[int] = (0,)) -> dict[str, Any]:
        """Run a command of the sink with --json; raises RuntimeError where it ends otherwise than it should."""
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "sink", *arguments, "--json"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in codes:
            raise RuntimeError(f"sink {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
        self.scene.seconds[name] = round(time.monotonic() - began, 1)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def delete_a_day(self, day: datetime) -> int:
        """Delete the candles of a day; those under load are of another."""
        with psycopg.connect(self.job.plain_url) as connection:
            cursor = connection.execute(
                "DELETE FROM candles_1m WHERE bucket_start >= %s AND bucket_start < %s",
                (day, day + timedelta(days=1)),
            )
            return cursor.rowcount

    def behind(self) -> int:
        """Count the messages that the live replicas have not committed."""
        return self.world.behind(self.system.group(self.job), self.job.topic, self.job.workload.partitions)


def play(world: World, say: Say) -> Scene:
    """Play the scene on servers that run; the day that is lost is the second of three."""
    workload = Bulk(name="lost-day", title="three days of candles", dataset=_DATASET, rows=DAYS * MINUTES * SYMBOLS)
    system = SYSTEMS["sink"]
    now = datetime.now(UTC)
    with backlog(world, system, workload, now=now) as made:
        job = replace(made.job, follow=True)
        stage = Stage(world, job, system)
        with Children(_replicas(system, job), clean_environment()) as replicas:
            while not replicas.ended and stage.behind():
                time.sleep(_LAG_EVERY)
            say(f"two replicas have caught up with {workload.rows:,} candles; {LOAD_RATE} messages/s from now on")
            with _load(world, job.topic, made.schema_id), _sampled(stage) as samples:
                time.sleep(USUAL)
                usual, samples[:] = [*samples], []
                day = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS_AGO - 1)
                _repair(stage, day, say)
                stage.scene.usual, stage.scene.meanwhile = Lag.of(usual), Lag.of(samples)
            replicas.terminate()
    return stage.scene


def _repair(stage: Stage, day: datetime, say: Say) -> None:
    scene = stage.scene
    scene.deleted = stage.delete_a_day(day)
    say(f"{scene.deleted:,} candles of {day:%Y-%m-%d} are deleted")
    found = stage.sink("verify", "verify", _DATASET, "--deep", codes=(_DIFFERENT,))
    scene.found_missing = found["deep"]["verdicts"].get("missing", 0)
    (command,) = found["replay"]
    say(f"sink verify --deep finds {scene.found_missing:,} missing, and names: {command}")
    words = command.split()[1:]
    scene.foretold_inserts = stage.sink("dry run", *words, "--dry-run")["would_insert"]
    say(f"--dry-run foretells {scene.foretold_inserts:,} inserts")
    done = stage.sink("replay", *words)
    scene.written, scene.replay_rate = done["written"], done["rate"]
    say(f"sink replay wrote {scene.written:,} rows at {scene.replay_rate:,.0f} messages/s")
    verdicts = stage.sink("verify again", "verify", _DATASET, "--deep")["deep"]["verdicts"]
    scene.last = {verdict: count for verdict, count in verdicts.items() if count}
    say(f"sink verify --deep is clean: {scene.last}")


def _replicas(system: System, job: Job) -> list[tuple[Command, Path]]:
    commands = []
    for number in range(2):
        directory = job.directory / str(number)
        directory.mkdir()
        commands.append((system.command(replace(job, directory=directory)), directory))
    return commands


@contextmanager
def _load(world: World, topic: str, schema_id: int) -> Iterator[None]:
    """Produce newer and newer versions of the candle of the current minute."""
    producer = Producer({**PRODUCER, "bootstrap.servers": world.bootstrap_servers})
    encoder = Encoder(_DATASET, schema_id)
    minute, began = int(time.time()) // 60 * 60_000_000, time.monotonic()

    sent = 0

    def produce() -> None:
        nonlocal sent
        while sent < (time.monotonic() - began) * LOAD_RATE:
            sent += 1
            producer.produce(topic, encoder.encode(_candle(minute, sent)), b"LOAD", partition=sent % 4)
        producer.poll(0)

    with repeated(produce, every=_TICK, name="load"):
        yield
    producer.flush(30)


def _candle(minute: int, number: int) -> dict[str, Any]:
    price = 10**8 + number
    return {
        "symbol": f"LOAD{number % 4}",
        "bucket_start": minute,
        **dict.fromkeys(("open", "high", "low", "close"), price),
        "volume": number,
        **dict.fromkeys(("quote_volume", "trade_count", "taker_buy_base_volume", "taker_buy_quote_volume")),
    }


@contextmanager
def _sampled(stage: Stage) -> Iterator[list[int]]:
    """Sample the lag of the live replicas beside the caller."""
    samples: list[int] = []
    with repeated(lambda: samples.append(stage.behind()), every=_LAG_EVERY, name="lag"):
        yield samples
