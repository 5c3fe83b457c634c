"""The JSON of a run: what it ran on, and an outcome for each system, workload, phase and round."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1
_OF_A_RUN = frozenset({"load_before"})
"""What is said of the machine and is another from run to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one system did in one phase of one round; figures are None where they could not be had.

    Seconds and CPU seconds, bytes, shares of 1. ``seconds`` is from the first write to the last commit,
    ``seconds_in_all`` from the start of the process to its end or its last offset. A figure counts only where
    ``correct``: the table was compared with the generator's rows. ``latency`` maps percentiles to milliseconds.
    """

    system: str
    workload: str
    phase: str
    rows: int
    keys: int
    round: int = 0
    correct: bool = False
    failure: str | None = None
    seconds: float | None = None
    rows_per_second: float | None = None
    seconds_to_first_write: float | None = None
    seconds_in_all: float | None = None
    cpu: float | None = None
    cpu_before_first_write: float | None = None
    cpu_database: float | None = None
    cpu_broker: float | None = None
    peak_memory: int | None = None
    busy_share: float | None = None
    doing: Mapping[str, int] = field(default_factory=dict)
    wal_bytes: int | None = None
    steal_percent: float | None = None
    latency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A whole run; ``workloads`` describes each workload by name, ``systems`` gives the titles."""

    begun_at: str
    machine: Mapping[str, Any]
    options: Mapping[str, Any]
    systems: Mapping[str, str]
    workloads: Mapping[str, Mapping[str, Any]]
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Systems that this machine cannot run, and what it lacks."""
    outcomes: list[Outcome] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n")
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> Result:
        """Read one. Raises ValueError where it is of another version."""
        kept = json.loads(path.read_text())
        if kept.pop("version", None) != VERSION:
            raise ValueError(f"{path} was not written by this version of the benchmarks; run them again")
        return cls(**{**kept, "outcomes": [Outcome(**outcome) for outcome in kept["outcomes"]]})

    def figures(self, system: str, workload: str, phase: str, name: str) -> list[float]:
        """Give a figure of all rounds that count."""
        return [
            value
            for outcome in self.outcomes
            if (outcome.system, outcome.workload, outcome.phase) == (system, workload, phase) and outcome.correct
            if (value := getattr(outcome, name)) is not None
        ]


def joined(results: Sequence[Result]) -> Result:
    """Make one of runs of different workloads, in their order, as if they had been one.

    Raises ValueError where they are of two machines or revisions, or where two played the same workload: figures of
    two runs say nothing about each other.
    """
    first = results[0]
    systems, skipped = dict[str, str](), dict[str, str]()
    workloads: dict[str, Mapping[str, Any]] = {}
    for one in results:
        same = first.machine.keys() - _OF_A_RUN
        if differing := sorted(name for name in same if one.machine[name] != first.machine[name]):
            raise ValueError(f"the runs of {first.begun_at} and {one.begun_at} differ in {', '.join(differing)}")
        done = {outcome.workload for outcome in one.outcomes}  # a run that was ended early has not played them all
        played = {name: workload for name, workload in one.workloads.items() if name in done}
        if twice := workloads.keys() & played.keys():
            raise ValueError(f"{', '.join(sorted(twice))} was played in two of these runs; leave one out")
        systems |= one.systems
        skipped |= one.skipped
        workloads |= played
    return Result(
        begun_at=min(one.begun_at for one in results),
        machine={**first.machine, "load_before": max(one.machine["load_before"] for one in results)},
        options={**first.options, "rounds": min(one.options["rounds"] for one in results)},
        systems=systems,
        workloads=workloads,
        skipped=skipped,
        outcomes=[outcome for one in results for outcome in one.outcomes],
    )
