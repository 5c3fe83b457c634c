"""What a message of each dataset weighs: in Kafka, in table and indexes, in the write-ahead log, in CPU time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import machine, trial
from benchmarks.plan import Bulk
from benchmarks.systems import SYSTEMS
from benchmarks.world import World
from sink.datasets import DATASETS

MILLION = 1e6
VERSIONS = 20
"""How often a candle is sent while its minute lasts, in the workload that updates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What one workload took; bytes and CPU seconds of all of it, CPU without the sink's start."""

    dataset: str
    versions: int
    messages: int
    rows: int
    log_bytes: int | None
    """On the broker's disk, lz4; None where the broker's files cannot be seen."""
    table_bytes: int
    index_bytes: int
    wal_bytes: int
    cpu_sink: float
    cpu_database: float | None
    rate: float
    """Messages a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """A whole run."""

    begun_at: str
    machine: Mapping[str, Any]
    weights: list[Weight] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Sizing:
        """Read one."""
        kept = json.loads(path.read_text())
        return cls(**{**kept, "weights": [Weight(**one) for one in kept["weights"]]})


def workloads(rows: int) -> list[Bulk]:
    """Give a first load of each dataset, and candles that are updated while their minute lasts."""
    first = [Bulk(name=name, title=name, dataset=name, rows=rows) for name in DATASETS]
    return [*first, Bulk(name="updates", title="updates", dataset="candles_1m", rows=rows, versions=VERSIONS)]


def play(world: World, *, rows: int, now: datetime, broker_files: Path, say: Callable[[str], None]) -> Sizing:
    """Weigh every workload; raises RuntimeError where a table is not what was produced."""
    sizing = Sizing(
        begun_at=now.isoformat(timespec="seconds"),
        machine={**machine.described(), **world.versions(), "load_before": machine.load()},
    )
    for workload in workloads(rows):
        sizing.weights.append(_weighed(world, workload, now, broker_files))
        say(f"{workload.title}: {sizing.weights[-1]}")
    return sizing


def _weighed(world: World, workload: Bulk, now: datetime, broker_files: Path) -> Weight:
    system = SYSTEMS["sink"]
    with trial.backlog(world, system, workload, now=now) as made:
        job = made.job
        done = trial.play(world, system, job, made.generated, "load")
        if not done.correct or done.cpu is None or done.wal_bytes is None or done.rows_per_second is None:
            raise RuntimeError(f"{workload.name} does not count: {done.failure}")
        with psycopg.connect(job.plain_url) as connection:
            sizes = connection.execute(
                "SELECT sum(table_bytes + coalesce(toast_bytes, 0))::bigint, sum(index_bytes)::bigint"
                " FROM hypertable_detailed_size(%s::regclass)",
                [workload.dataset],
            ).fetchone()
        table, index = sizes or (0, 0)
        return Weight(
            dataset=workload.dataset,
            versions=workload.versions,
            messages=workload.rows,
            rows=made.generated.keys,
            log_bytes=_log_bytes(broker_files, job.topic),
            table_bytes=table,
            index_bytes=index,
            wal_bytes=done.wal_bytes,
            cpu_sink=done.cpu - (done.cpu_before_first_write or 0.0),
            cpu_database=done.cpu_database,
            rate=done.rows_per_second,
        )


def _log_bytes(broker_files: Path, topic: str) -> int | None:
    segments = [file for folder in broker_files.rglob(f"{topic}-*") for file in folder.glob("*.log")]
    return sum(file.stat().st_size for file in segments) or None
