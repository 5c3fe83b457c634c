"""The sink itself, with its default settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import LiteralString

from benchmarks.plan import Workload
from benchmarks.systems.system import Command, Job


class Sink:
    """``sink run --until-caught-up``."""

    name = "sink"
    title = "this sink"
    ends = True
    replays = True

    def group(self, job: Job) -> str:
        """Give the group that the sink makes of its prefix."""
        return f"{job.group}.{job.workload.dataset}"

    def fits(self, workload: Workload) -> bool:
        """Take every workload."""
        del workload
        return True

    def missing(self) -> str | None:
        """Need nothing more."""
        return None

    def prepare(self) -> None:
        """Need nothing more."""

    def adapt(self) -> Sequence[LiteralString]:
        """Use the table as it is."""
        return ()

    def command(self, job: Job) -> Command:
        """Run one dataset."""
        prefix = job.topic.removesuffix(job.workload.dataset)
        environment = {
            "DATABASE_URL": job.database_url,
            "SINK_KAFKA__BOOTSTRAP_SERVERS": job.bootstrap_servers,
            "SINK_REGISTRY__URL": job.registry_url,
            "SINK_TOPIC_PREFIX": prefix,
            "SINK_GROUP_PREFIX": job.group,
            "SINK_STATE_DIRECTORY": str(job.directory / "state"),
            "SINK_LOG__FORMAT": "json",
        }
        if job.batch is not None:
            environment["SINK_BATCH__MAX_ROWS"] = str(job.batch)
        end = () if job.follow else ("--until-caught-up",)
        return Command(
            arguments=(sys.executable, "-m", "sink", "run", job.workload.dataset, *end), environment=environment
        )

    def complaint(self, output: str) -> str | None:
        """Leave it to the exit code."""
        del output
        return None
