"""The rounds of a run: in each, the systems take turns on the same topic, in an order that rotates."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.generator import generate
from benchmarks.plan import Stream, Workload
from benchmarks.results import Outcome, Result
from benchmarks.stream import stream_trial
from benchmarks.systems import System
from benchmarks.trial import trial
from benchmarks.world import World


def play(
    world: World,
    *,
    systems: Sequence[System],
    workloads: Sequence[Workload],
    rounds: int,
    now: datetime,
    options: Mapping[str, Any],
    path: Path,
    tell: Callable[[str], None],
) -> Result:
    """Play all rounds; the result is written to ``path`` after each trial, so that an interruption loses little.

    A system that this machine cannot run is left out, with what it lacks in the result.
    """
    skipped = {system.name: lack for system in systems if (lack := system.missing()) is not None}
    able = [system for system in systems if system.name not in skipped]
    for name, lack in skipped.items():
        tell(f"{name} is left out: it {lack}")
    for system in able:
        system.prepare()
    result = Result(
        begun_at=now.isoformat(timespec="seconds"),
        machine={**machine.described(), **world.versions(), "load_before": machine.load()},
        options=options,
        systems={system.name: system.title for system in able},
        workloads={workload.name: asdict(workload) for workload in workloads},
        skipped=skipped,
    )
    for workload in workloads:
        fitting = [system for system in able if system.fits(workload)]
        for number, outcome in _outcomes(world, workload, fitting, rounds, now):
            result.outcomes.append(replace(outcome, round=number))
            result.write(path)
            tell(_line(result.outcomes[-1]))
    return result


def _outcomes(
    world: World, workload: Workload, systems: Sequence[System], rounds: int, now: datetime
) -> Iterator[tuple[int, Outcome]]:
    turns = [(number, system) for number in range(rounds) for system in rotated(systems, number)]
    if isinstance(workload, Stream):
        for number, system in turns:
            yield number, stream_trial(world, system, workload)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, world.topic(workload) as (topic, schema_id):
        generated = generate(workload, now=now, directory=Path(folder))
        world.fill(topic, schema_id, workload, generated)
        for number, system in turns:
            for outcome in trial(world, system, workload, generated, topic):
                yield number, outcome


def rotated(systems: Sequence[System], number: int) -> list[System]:
    """Give the systems in the order of a round, so that none always follows the same one."""
    if not systems:
        return []
    first = number % len(systems)
    return [*systems[first:], *systems[:first]]


def _line(outcome: Outcome) -> str:
    lead = f"{outcome.workload}, {outcome.phase}, round {outcome.round + 1}, {outcome.system}:"
    if not outcome.correct:
        return f"{lead} DOES NOT COUNT: {outcome.failure}"
    if outcome.latency:
        return f"{lead} p50 {outcome.latency['p50']:,.0f} ms, p99 {outcome.latency['p99']:,.0f} ms"
    return f"{lead} {outcome.rows_per_second or 0:,.0f} rows/s, backend busy {outcome.busy_share or 0:.0%}"
