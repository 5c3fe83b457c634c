"""What a careful user would write instead: a consumer of a hundred lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.systems.system import Command, Job, System
from sink.avro.schemas import shipped_schema
from sink.datasets import DATASETS

PROGRAM = Path(__file__).parent / "programs" / "handwritten.py"
BATCH = 5_000


class Handwritten(System):
    """confluent-kafka, fastavro and psycopg's executemany with ON CONFLICT DO UPDATE."""

    name = "handwritten"
    title = "hand-written consumer"

    def command(self, job: Job) -> Command:
        """Run the program on a file with its settings."""
        return Command(arguments=(sys.executable, str(PROGRAM), str(settings_file(job, batch=BATCH))))


def settings_file(job: Job, *, batch: int) -> Path:
    """Write what a program in Python must know; ``batch`` is for jobs that leave it open."""
    dataset = DATASETS[job.workload.dataset]
    path = job.directory / "settings.json"
    path.write_text(
        json.dumps(
            {
                "bootstrap_servers": job.bootstrap_servers,
                "topic": job.topic,
                "group": job.group,
                "database_url": job.plain_url,
                "table": dataset.name,
                "columns": dataset.columns,
                "key": dataset.key,
                "schema": shipped_schema(dataset.name).json,
                "batch": job.batch or batch,
                "follow": job.follow,
            }
        )
    )
    return path
