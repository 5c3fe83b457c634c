"""The sink itself, with its default settings."""

from __future__ import annotations

import sys

from benchmarks.systems.system import Command, Job, System


class Sink(System):
    """``sink run --until-caught-up``."""

    name = "sink"
    title = "this sink"

    def group(self, job: Job) -> str:
        """Give the group that the sink makes of its prefix."""
        return f"{job.group}.{job.workload.dataset}"

    def command(self, job: Job) -> Command:
        """Run one dataset."""
        prefix = job.topic.removesuffix(job.workload.dataset)
        environment = {
            "DATABASE_URL": job.database_url,
            "SINK_KAFKA__BOOTSTRAP_SERVERS": job.bootstrap_servers,
            "SINK_REGISTRY__URL": job.registry_url,
            "SINK_TOPIC_PREFIX": prefix,
            "SINK_GROUP_PREFIX": job.group,
            "SINK_HTTP__PORT": "0",  # several run beside each other
            "SINK_STATE_DIRECTORY": str(job.directory / "state"),
            "SINK_LOG__FORMAT": "json",
        }
        if job.batch is not None:
            environment["SINK_BATCH__MAX_ROWS"] = str(job.batch)
        end = () if job.follow else ("--until-caught-up",)
        return Command(
            arguments=(sys.executable, "-m", "sink", "run", job.workload.dataset, *end), environment=environment
        )
