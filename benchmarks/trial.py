"""One system does one workload: started, watched until everything is durable, measured, its table compared."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg

from benchmarks import measure
from benchmarks.compare import difference
from benchmarks.generator import Generated, generate
from benchmarks.plan import Bulk, Stream, Workload
from benchmarks.processes import Children, Gone
from benchmarks.results import Outcome
from benchmarks.systems.system import Job, System
from benchmarks.watch import Watch
from benchmarks.world import World, clean_environment

LIMIT = 3 * 3600.0
"""Seconds after which a system is taken not to end any more."""
_LOOK_EVERY, _ASK_EVERY = 0.05, 0.5
_MEMORY_EVERY = 10
"""Looks of the watch between two looks at the memory."""


@dataclass(slots=True)
class Start:
    """When the processes were started, and what they had used when they first wrote."""

    at: float
    cpu_before: float | None = None
    looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """A job whose topic is filled, what was sent, and the id of its schema."""

    job: Job
    generated: Generated
    schema_id: int


def trial(world: World, system: System, workload: Bulk, generated: Generated, topic: str) -> list[Outcome]:
    """Let a system do a workload in a database of its own; two outcomes where it is then done again."""
    outcomes = []
    with world.database(system) as url, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for phase in ("load", "replay")[: 1 + workload.replay]:
            if phase == "replay" and not system.replays:
                break
            job = replace(job_of(world, workload, topic, url, Path(folder) / phase), generated=generated)
            outcomes.append(play(world, system, job, generated, phase))
    return outcomes


def job_of(world: World, workload: Workload, topic: str, database_url: str, directory: Path) -> Job:
    """Describe a job with a consumer group that nobody has used."""
    directory.mkdir()
    return Job(
        workload=workload,
        topic=topic,
        group=f"bench-{uuid.uuid4().hex[:8]}",
        bootstrap_servers=world.bootstrap_servers,
        registry_url=world.registry_url,
        database_url=database_url,
        directory=directory,
        batch=workload.batch if isinstance(workload, Bulk) else None,
        follow=isinstance(workload, Stream),
    )


@contextmanager
def backlog(world: World, system: System, workload: Bulk, *, now: datetime) -> Iterator[Backlog]:
    """Fill a topic of a workload's own, and make an empty database."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        world.topic(workload) as (topic, schema_id),
        world.database(system) as url,
    ):
        generated = generate(workload, now=now, directory=Path(folder))
        world.fill(topic, schema_id, workload, generated)
        job = replace(job_of(world, workload, topic, url, Path(folder) / "job"), generated=generated)
        yield Backlog(job=job, generated=generated, schema_id=schema_id)


def play(world: World, system: System, job: Job, generated: Generated, phase: str) -> Outcome:
    """Let a system do a job, and compare the table; the database stays as it is then."""
    outcome = Outcome(
        system=system.name, workload=job.workload.name, phase=phase, rows=job.workload.rows, keys=generated.keys
    )
    try:
        outcome = _measured(world, system, job, outcome)
    except Gone as error:
        return replace(outcome, failure=str(error))
    finally:
        shutil.rmtree(job.directory)
    return compared(outcome, job, generated)


def compared(outcome: Outcome, job: Job, generated: Generated) -> Outcome:
    """Compare the table with the generator's rows; only what is the same counts."""
    with psycopg.connect(job.plain_url) as connection:
        wrong = difference(connection, job.workload.dataset, generated)
    return replace(outcome, correct=wrong is None, failure=wrong)


def _measured(world: World, system: System, job: Job, outcome: Outcome) -> Outcome:
    with started(system, job) as (children, watch, start), servers(world, watch) as used:
        finish(world, system, job, children)
        ended = time.monotonic()
        seen = watch.stop()
        cpu_database, cpu_broker, wal, steal = used()
        children.terminate()
        if seen.begin is None:
            raise Gone(f"nothing was ever written:\n{children.output[-2000:]}")
        return replace(
            outcome,
            seconds=seen.seconds,
            rows_per_second=outcome.rows / seen.seconds,
            seconds_to_first_write=seen.begin - start.at,
            seconds_in_all=ended - start.at,
            cpu=children.cpu(),
            cpu_before_first_write=start.cpu_before,
            cpu_database=cpu_database,
            cpu_broker=cpu_broker,
            peak_memory=children.peak,
            busy_share=seen.busy_share,
            doing=dict(seen.doing),
            wal_bytes=wal,
            steal_percent=steal,
        )


@contextmanager
def started(system: System, job: Job) -> Iterator[tuple[Children, Watch, Start]]:
    """Start a system's processes with a watch over their backends."""
    commands = []
    for number in range(job.workload.replicas if isinstance(job.workload, Bulk) else 1):
        directory = job.directory / str(number)
        directory.mkdir()
        commands.append((system.command(replace(job, directory=directory)), directory))
    with ExitStack() as open_:
        start = Start(at=0.0)
        running: list[Children] = []

        def each(writing: bool) -> None:  # noqa: FBT001 - the watch says it so
            if not running:
                return
            if writing and start.cpu_before is None:
                start.cpu_before = running[0].cpu()
            start.looks += 1
            if start.looks % _MEMORY_EVERY == 0:
                running[0].look()

        watch = open_.enter_context(Watch(job.plain_url, job.workload.dataset, each))
        watch.settle()
        watch.start()
        start.at = time.monotonic()
        children = open_.enter_context(Children(commands, clean_environment()))
        running.append(children)
        yield children, watch, start


@contextmanager
def servers(world: World, watch: Watch) -> Iterator[Callable[[], tuple[float | None, float | None, int, float]]]:
    """Measure the servers: CPU seconds of database and broker, bytes of WAL, percent of steal, up to the call."""

    def cpu(pid: int | None) -> float | None:
        return None if pid is None else measure.seconds(pid, but=watch.backend)

    def since(now: float | None, before: float | None) -> float | None:
        return None if now is None or before is None else now - before

    machine, database, broker = measure.Cpu.now(), cpu(world.database_pid), cpu(world.broker_pid)
    wal = watch.position()

    def used() -> tuple[float | None, float | None, int, float]:
        return (
            since(cpu(world.database_pid), database),
            since(cpu(world.broker_pid), broker),
            watch.written_since(wal),
            measure.Cpu.now().steal_since(machine),
        )

    yield used


def finish(world: World, system: System, job: Job, children: Children) -> None:
    """Wait until a system has caught up: its processes have ended, or its group has committed everything."""
    deadline, ask_at = time.monotonic() + LIMIT, 0.0
    while not children.ended:
        now = time.monotonic()
        if now > deadline:
            raise Gone(f"has not caught up within {LIMIT:g} s")
        if not system.ends and now > ask_at:
            if (complaint := system.complaint(children.output)) is not None:
                raise Gone(complaint)
            if world.behind(system.group(job), job.topic, job.workload.partitions) == 0:
                return
            ask_at = time.monotonic() + _ASK_EVERY
        time.sleep(_LOOK_EVERY)
