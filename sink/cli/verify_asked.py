"""What a verification is asked for, and what it works with."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from sink.cli import connections
from sink.cli.replayed import say
from sink.datasets import Dataset
from sink.kafka.consumer import TopicConsumer
from sink.ledger import Source
from sink.replaying.ranges import Bound
from sink.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    dataset: Dataset
    start: Bound
    end: Bound
    partitions: Collection[int]
    deep: bool
    fast: bool
    max_rate: float | None
    samples: int
    file: Path | None

    @property
    def everything(self) -> bool:
        """Whether no range was named."""
        return not self.partitions and all(
            not bound.offsets and bound.place is None for bound in (self.start, self.end)
        )


@dataclass(slots=True, kw_only=True)
class Job:
    """One verification and what it works with; ``notes`` grow on the way."""

    asked: Asked
    settings: Settings
    source: Source
    consumer: TopicConsumer
    stop: threading.Event
    notes: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The database."""
        return connections.database_url(self.settings)

    def note(self, sentence: str) -> None:
        """Say something now, and keep it."""
        self.notes.append(sentence)
        say(sentence)
