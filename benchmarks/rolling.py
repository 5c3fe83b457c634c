"""Two replicas under load with Prometheus watching: a rolling restart alarms nobody, a stopped database does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer

from benchmarks.alarms import Ages, Alarms, Seen, aged, watched
from benchmarks.beside import repeated
from benchmarks.generator import Encoder
from benchmarks.plan import Stream
from benchmarks.processes import Gone
from benchmarks.prometheus import Prometheus, scraping
from benchmarks.replica import READY_SECONDS, Replica, Restart
from benchmarks.stream import Sender
from benchmarks.systems import SYSTEMS
from benchmarks.systems.system import Job
from benchmarks.trial import job_of
from benchmarks.world import PRODUCER, World, of_stack
from sink.stack import SilentSteps, Stack
from sink.stack.ports import LOOPBACK
from sink.stack.processes import wait_until

EXPECTED = "SinkDatabaseAway"
"""The alert that a stopped database must fire, and the only one."""
LONGEST_GAP = 10.0
"""Seconds to which the age of the newest durable trade may rise in a rolling restart."""
SCRAPE = 5.0
_REPLICAS = 2
_PARTITIONS = 4
_ALARM_SECONDS = 600.0
_TICK = 0.01
_ENOUGH = 0.95
"""Of the rate that was asked for; with less, the scene shows nothing."""
Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Scene:
    """What the scene showed; times in seconds."""

    minutes: float
    rate: int
    began_at: float = 0.0
    ended_at: float = 0.0
    sent: int = 0
    rows: int = 0
    produced: float = 0.0
    """Messages a second that were really produced before the outage."""
    age: dict[str, float] = field(default_factory=dict)
    """Age of the newest durable trade of the worst partition, without the outage: p50, p99, largest."""
    restarts: list[Restart] = field(default_factory=list)
    restarts_at: tuple[float, float] = (0.0, 0.0)
    alerts: list[Seen] = field(default_factory=list)
    fired_early: set[str] = field(default_factory=set)
    fired_in_outage: set[str] = field(default_factory=set)
    outage_at: tuple[float, float] = (0.0, 0.0)
    fired_after: float | None = None
    resolved_after: float | None = None
    """From the start of the database until no alert fired any more."""
    caught_up_after: float | None = None
    """From then until less than two seconds' worth of messages waited."""

    @property
    def wrong(self) -> list[str]:
        """What is not as it must be, as sentences; nothing where all is well."""
        restarted = [one for one in self.restarts if one.code == 0]
        found = {
            f"only {self.produced:,.0f} messages/s were produced": self.produced < _ENOUGH * self.rate,
            f"{self.rows:,} rows of {self.sent:,} messages": self.rows != self.sent or not self.sent,
            f"the newest row was {self.age.get('largest', -1):.1f} s old": not (
                0 <= self.age.get("largest", -1) < LONGEST_GAP
            ),
            f"{len(restarted)} of {_REPLICAS} replicas restarted well": len(restarted) != _REPLICAS,
            f"fired without a cause: {', '.join(sorted(self.fired_early))}": bool(self.fired_early),
            f"the stopped database fired {', '.join(sorted(self.fired_in_outage)) or 'nothing'}": (
                self.fired_in_outage != {EXPECTED}
            ),
            "the alert did not resolve": self.resolved_after is None,
        }
        return [sentence for sentence, true in found.items() if true]

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        told = {"good": not self.wrong, "wrong": self.wrong, **asdict(self)}
        return {name: sorted(value) if isinstance(value, set) else value for name, value in told.items()}


def play(minutes: float, rate: int, say: Say, draw: Callable[[Prometheus, Scene], None]) -> Scene:
    """Play the scene on servers of its own; ``draw`` is called while Prometheus still answers."""
    scene = Scene(minutes=minutes, rate=rate)
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stack = Stack(folder / "stack", steps=SilentSteps())
        open_.callback(stack.reset)
        stack.up()
        world = of_stack(stack)
        workload = Stream(name="rolling", title="rolling restart", rate=rate, rows=0, partitions=_PARTITIONS)
        topic, schema_id = open_.enter_context(world.topic(workload))
        url = open_.enter_context(world.database(SYSTEMS["sink"]))
        job = replace(job_of(world, workload, topic, url, folder / "job"), follow=True)
        replicas = []
        for number in range(_REPLICAS):
            replicas.append(Replica(number, job, folder / f"replica-{number}"))
            open_.callback(replicas[-1].kill)
        targets = [f"{LOOPBACK}:{replica.port}" for replica in replicas]
        prometheus = open_.enter_context(scraping(targets, directory=folder / "prometheus", every=SCRAPE))
        for replica in replicas:
            replica.await_ready()
        say(f"{_REPLICAS} replicas are ready; {rate:,} messages/s from now on, for {minutes:g} minutes")
        sender = _sender(world, topic, schema_id)
        with _load(sender, rate), watched(prometheus) as alarms:
            _calm(scene, job, sender, replicas, alarms, say)
            _outage(scene, stack, alarms, say)
            _recovery(scene, world, job)
            scene.ended_at = time.time()
        scene.alerts = alarms.seen
        draw(prometheus, scene)
        _count(scene, world, job, sender, replicas, say)
    return scene


def _calm(scene: Scene, job: Job, sender: Sender, replicas: Sequence[Replica], alarms: Alarms, say: Say) -> None:
    """Let the load run, and restart one replica after the other in the middle."""
    alarms.phase = "load"
    with aged(job.plain_url, sender.symbols) as ages:
        if not wait_until(lambda: len(ages.looks) > 0, seconds=READY_SECONDS):
            raise Gone("no trade became durable")
        scene.began_at, before = time.time(), len(sender.sent)
        end = scene.began_at + scene.minutes * 60
        time.sleep(scene.minutes * 60 * 0.4)
        alarms.phase = "rolling restart"
        began = time.time()
        for replica in replicas:
            scene.restarts.append(replica.restart())
            say(f"replica {replica.number}: {scene.restarts[-1]}")
        scene.restarts_at = (began, time.time())
        time.sleep(max(0.0, end - time.time()))
        scene.produced = round((len(sender.sent) - before) / (time.time() - scene.began_at))
        _judge_ages(scene, ages)
    scene.fired_early = alarms.fired(start=0.0, end=time.time())
    fired = ", ".join(sorted(scene.fired_early)) or "nothing"
    say(f"{scene.produced:,} messages/s; age of the newest row: {scene.age}; fired: {fired}")


def _judge_ages(scene: Scene, ages: Ages) -> None:
    whole = {"start": scene.began_at, "end": time.time()}
    during = {"start": scene.restarts_at[0], "end": scene.restarts_at[1]}
    scene.age = {
        "p50": round(ages.percentile(0.5, **whole), 3),
        "p99": round(ages.percentile(0.99, **whole), 3),
        "largest": round(ages.largest(**whole), 3),
        "largest_in_restart": round(ages.largest(**during), 3),
    }


def _outage(scene: Scene, stack: Stack, alarms: Alarms, say: Say) -> None:
    """Stop the database until its alert fires, start it, wait until nothing fires any more."""
    alarms.phase = "outage"
    began = time.time()
    stack.database.stop()
    say("the database is stopped")
    if wait_until(lambda: EXPECTED in alarms.firing, seconds=_ALARM_SECONDS):
        scene.fired_after = round(time.time() - began, 1)
        say(f"{EXPECTED} fires after {scene.fired_after} s")
    stack.database.start()
    back = time.time()
    scene.outage_at = (began, back)
    if wait_until(lambda: not alarms.firing, seconds=_ALARM_SECONDS):
        scene.resolved_after = round(time.time() - back, 1)
        say(f"no alert fires {scene.resolved_after} s after the database is back")
    scene.fired_in_outage = alarms.fired(start=began, end=time.time())


def _recovery(scene: Scene, world: World, job: Job) -> None:
    """Wait until the replicas have caught up with what goes on, and a little longer for the pictures."""
    if wait_until(lambda: _behind(world, job) < 2 * scene.rate, seconds=_ALARM_SECONDS):
        scene.caught_up_after = round(time.time() - scene.outage_at[1], 1)
    time.sleep(4 * SCRAPE)


def _count(scene: Scene, world: World, job: Job, sender: Sender, replicas: Sequence[Replica], say: Say) -> None:
    """Wait until everything that was sent is durable, and count it."""
    wait_until(lambda: _behind(world, job) == 0, seconds=_ALARM_SECONDS)
    for replica in replicas:
        replica.stop()
    with psycopg.connect(job.plain_url) as connection:
        (scene.rows,) = connection.execute("SELECT count(*) FROM trades").fetchone() or (0,)
    scene.sent = len(sender.sent)
    say(f"{scene.rows:,} rows of {scene.sent:,} messages")


def _behind(world: World, job: Job) -> int:
    return world.behind(SYSTEMS["sink"].group(job), job.topic, _PARTITIONS)


def _sender(world: World, topic: str, schema_id: int) -> Sender:
    return Sender(
        producer=Producer({**PRODUCER, "bootstrap.servers": world.bootstrap_servers, "log_level": 2}),
        encoder=Encoder("trades", schema_id),
        topic=topic,
        symbols=tuple(f"COIN{place:02}USDT" for place in range(_PARTITIONS)),
        sent=[],
    )


def _load(sender: Sender, rate: int) -> AbstractContextManager[None]:
    """Produce beside the caller; what a busy machine could not send in time is sent as soon as it can."""
    began = time.monotonic()

    def produce() -> None:
        due = int((time.monotonic() - began) * rate) - len(sender.sent)
        if due > 0:
            sender.send(due, None)

    return repeated(produce, every=_TICK, name="load")
