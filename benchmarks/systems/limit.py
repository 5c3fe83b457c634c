"""The limit: rows that are already in COPY's binary form, written by one connection, with nothing else running."""

from __future__ import annotations

import sys
from pathlib import Path

from psycopg import sql

from benchmarks.generator import flushed
from benchmarks.plan import Bulk, Workload
from benchmarks.systems.system import Command, Job, System
from sink.datasets import DATASETS
from sink.db.copy import encoded

PROGRAM = Path(__file__).parent / "programs" / "limit.py"
BATCH = 20_000
LENGTH = 8
"""Bytes before each piece that say how long it is."""


class Limit(System):
    """One COPY a batch, each its own transaction; neither Kafka nor decoding nor a position."""

    name = "limit"
    title = "limit: pre-encoded COPY"
    replays = False

    def fits(self, workload: Workload) -> bool:
        """Take first loads: a bare COPY can update nothing."""
        return isinstance(workload, Bulk) and workload.versions == 1 and workload.replicas == 1

    def command(self, job: Job) -> Command:
        """Encode everything beforehand, into a file that the program reads."""
        if job.generated is None:
            raise ValueError("the limit copies a backlog, not what is yet to be produced")
        dataset = DATASETS[job.workload.dataset]
        pieces = job.directory / "pieces"
        frame = flushed(job.generated, dataset.name)
        with pieces.open("wb") as file:
            for part in frame.iter_slices(job.batch or BATCH):
                # sorted by key within a batch, as the sink writes them
                data = encoded(part.sort(list(dataset.key)))
                file.write(len(data).to_bytes(LENGTH, "big") + data)
        names = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(dataset.name), names)
        return Command(arguments=(sys.executable, str(PROGRAM), str(pieces), job.plain_url, copy.as_string(None)))
