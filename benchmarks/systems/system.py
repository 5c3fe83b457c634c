"""What a system is to the benchmarks: it is prepared once, and started as a process for each job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, LiteralString

from benchmarks.generator import Generated
from benchmarks.plan import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One topic into one table, by ``group``; ``follow`` goes on at the end of the topic until SIGTERM."""

    workload: Workload
    topic: str
    group: str
    bootstrap_servers: str
    registry_url: str
    database_url: str
    """As SQLAlchemy writes it, for the server's superuser."""
    directory: Path
    """For what the system writes; empty, and deleted afterwards."""
    batch: int | None = None
    """Messages of a transaction, None for the system's own choice."""
    follow: bool = False
    generated: Generated | None = None
    """What a backlog holds; None where it is yet to be produced."""

    @property
    def plain_url(self) -> str:
        """The database's address as libpq reads it."""
        return self.database_url.replace("+psycopg", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a process of a system is started."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Beside what every process gets."""


class System(ABC):
    """One of the systems that are compared; by default a process that ends by itself and needs nothing more."""

    name: ClassVar[str]
    title: ClassVar[str]
    ends: ClassVar[bool] = True
    """Whether its process ends by itself once it has caught up, unless it is to follow."""
    replays: ClassVar[bool] = True
    """Whether it can write rows that are already there."""

    @abstractmethod
    def command(self, job: Job) -> Command:
        """Say how one process of it is started for a job."""

    def group(self, job: Job) -> str:
        """Name the consumer group whose commits say how far it is."""
        return job.group

    def fits(self, workload: Workload) -> bool:
        """Say whether this system can do such a workload at all."""
        del workload
        return True

    def missing(self) -> str | None:
        """Say what this machine lacks to run it, with the command that installs it."""
        return None

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Fetch and build what it needs, unless it is there."""

    def adapt(self) -> Sequence[LiteralString]:
        """Give the statements that the table needs beyond the common definition."""
        return ()

    def complaint(self, output: str) -> str | None:
        """Find in what it has said that it has given up, although its process lives."""
        del output
        return None
