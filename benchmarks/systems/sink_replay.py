"""``sink replay`` of a whole topic, to be compared with ``sink run`` on the same messages."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.plan import Stream, Workload
from benchmarks.systems.sink import Sink
from benchmarks.systems.system import Command, Job


class SinkReplay(Sink):
    """``sink replay DATASET --from beginning``."""

    name = "sink-replay"
    title = "this sink's replay"

    def fits(self, workload: Workload) -> bool:
        """Do backlogs, as one process: a replay ends."""
        return not isinstance(workload, Stream) and workload.replicas == 1

    def command(self, job: Job) -> Command:
        """Read the topic from its beginning to its end, outside the consumer group."""
        run = super().command(job)
        python, option, module, *_ = run.arguments
        return replace(run, arguments=(python, option, module, "replay", job.workload.dataset, "--from", "beginning"))
