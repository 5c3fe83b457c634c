"""Sends a stream of payloads and counts what went where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from sink.datasets import DATASETS
from sink.producing.payload import DATASET_OF, Payload, event_time
from sink.producing.routes import Route

_TELL_EVERY = 1_000


class Receiver(Protocol):
    """Where payloads go: the producer, or the dry run."""

    def produce(self, payload: Payload) -> None:
        """Take one payload."""
        ...


class DryRun:
    """Encodes what it is given, as the producer would, and lets it go; needs neither broker nor registry."""

    def __init__(self, *, schemas: Path | None = None) -> None:
        self._routes = {
            kind: Route(dataset, topic=dataset, registry=None, schemas=schemas) for kind, dataset in DATASET_OF.items()
        }

    def produce(self, payload: Payload) -> None:
        """Encode one payload; raises BadMessage where it cannot be."""
        self._routes[type(payload)].value(payload)


@dataclass(slots=True, kw_only=True)
class Count:
    """How many payloads of one dataset were sent, and how many of them the table's retention drops again."""

    rows: int = 0
    beyond_retention: int = 0


@dataclass(slots=True, kw_only=True)
class Counts:
    """Counts by dataset, against the retention as it stands at ``now``."""

    now: datetime
    datasets: dict[str, Count] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many payloads were sent over all datasets."""
        return sum(count.rows for count in self.datasets.values())

    @property
    def beyond_retention(self) -> int:
        """How many of them lie beyond the retention of their table."""
        return sum(count.beyond_retention for count in self.datasets.values())

    def send(self, payloads: Iterable[Payload], receiver: Receiver, *, tell: Callable[[int], None]) -> None:
        """Send payloads one by one; ``tell`` hears now and then how many there have been."""
        horizons = {kind: self._horizon(dataset) for kind, dataset in DATASET_OF.items()}
        counts = {kind: self.datasets.get(dataset) or Count() for kind, dataset in DATASET_OF.items()}
        sent = 0
        try:
            for payload in payloads:
                receiver.produce(payload)
                count = counts[type(payload)]
                count.rows += 1
                count.beyond_retention += event_time(payload) < horizons[type(payload)]
                sent += 1
                if not sent % _TELL_EVERY:
                    tell(sent)
        finally:
            self.datasets |= {DATASET_OF[kind]: count for kind, count in counts.items() if count.rows}
            tell(sent)

    def _horizon(self, dataset: str) -> datetime:
        """Give the time before which the dataset's table drops rows."""
        retain = DATASETS[dataset].retain
        return datetime.min.replace(tzinfo=UTC) if retain is None else self.now - retain
