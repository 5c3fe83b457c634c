"""Asks Kafka and the database what a status shows; they read, so the reader's login will do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from sink.datasets import DATASETS
from sink.db import standing
from sink.db.contents import reading
from sink.db.standing import Quarantined, Stored
from sink.errors import DefinitionError, SinkError
from sink.inspection.status import KafkaTold, KafkaView, TableView
from sink.kafka.standing import Brokers
from sink.ledger import Source

T = TypeVar("T")

SELDOM = 10.0
"""Seconds for which counts and sizes that cost the database more are shown again."""


def ask_kafka(brokers: Brokers, sources: Mapping[str, Source]) -> KafkaTold:
    """Ask the brokers; what concerns one dataset alone (a topic that is missing, a grant) becomes a note of it.

    Raises TransientError where no broker answers.
    """
    cluster_id = brokers.cluster_id()
    return KafkaTold(cluster_id=cluster_id, views={name: _view(brokers, one) for name, one in sources.items()})


def _view(brokers: Brokers, source: Source) -> KafkaView:
    try:
        topic = brokers.topic(source.topic)
    except DefinitionError as error:
        return KafkaView(notes=[str(error)])
    notes: list[str] = []
    # the topic answers, so what a group's coordinator does not tell is not worth ending the view
    commits = _noted(lambda: brokers.commits(source.sink_id, source.topic), notes)
    group = _noted(lambda: brokers.group(source.sink_id), notes)
    return KafkaView(topic=topic, commits=commits or {}, group=group, notes=list(dict.fromkeys(notes)))


def _noted(ask: Callable[[], T], notes: list[str]) -> T | None:
    try:
        return ask()
    except SinkError as error:
        notes.append(str(error))
        return None


class Remembered(Generic[T]):
    """What ``ask`` gave, for ``seconds``; a failure is not remembered."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._kept: tuple[float, T] | None = None

    def get(self, ask: Callable[[], T]) -> T:
        """Give what is remembered, or ask."""
        if self._kept is None or self._clock() - self._kept[0] >= self._seconds:
            self._kept = (self._clock(), ask())
        return self._kept[1]


class AskedDatabase:
    """Reads the tables; ``timeout`` bounds each statement, in seconds."""

    def __init__(
        self,
        url: str,
        sources: Mapping[str, Source],
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._sources, self._timeout = url, sources, timeout
        self._costly = Remembered[tuple[Mapping[str, Stored], Mapping[str, Quarantined]]](SELDOM, clock)

    def look(self) -> Mapping[str, TableView]:
        """Ask once; raises the SinkError that says why the database tells nothing."""
        with reading(self._url) as session:
            standing.limit_statements(session, self._timeout)
            stored, quarantined = self._costly.get(
                lambda: (
                    standing.stored(session, self._sources),
                    {
                        name: standing.quarantined(session, sink_id=one.sink_id, topic=one.topic)
                        for name, one in self._sources.items()
                    },
                )
            )
            return {
                name: TableView(
                    progress=standing.progress(session, sink_id=one.sink_id, topic=one.topic),
                    newest=standing.newest(session, DATASETS[name].model, time=DATASETS[name].time),
                    quarantined=quarantined[name],
                    stored=stored.get(name),
                )
                for name, one in self._sources.items()
            }
