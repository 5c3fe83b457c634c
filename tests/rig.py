"""A pipeline over a fake log and a real database, with everything around it in the test's hands."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, text

from sink.assignment import Assignment
from sink.batch import Batch
from sink.breaker import Breaker, BreakerLimits
from sink.collector import Collector
from sink.datasets import DATASETS
from sink.db.connect import open_connection
from sink.errors import SinkError
from sink.flush import Flushed, Flusher
from sink.ledger import Claim, Source, Start
from sink.observer import Observer
from sink.pipeline import Options, Pipeline
from sink.prepared import Prepared
from tests.build import TOPIC
from tests.fake_log import FakeDecoder, FakeLog
from tests.fake_writer import FakeWriter

SOURCE = Source(sink_id="sink.trades", topic=TOPIC)
EAGER = Options(max_age=0.0, positions_every=1.0)


class FaultyFlusher(Flusher):
    """Fails as often as it is told to before it flushes."""

    errors: list[SinkError]
    claim_errors: list[SinkError]
    sizes: list[int]
    passing: Callable[[], None]
    """What else happens meanwhile."""

    def claim(self, start: Start, token: uuid.UUID) -> Claim:
        if self.claim_errors:
            raise self.claim_errors.pop(0)
        return super().claim(start, token)

    def flush(
        self, batch: Batch, claims: Mapping[int, Claim], prepared: Prepared | None = None, **options: Any
    ) -> Flushed:
        self.sizes.append(batch.count)
        self.passing()
        if self.errors:
            raise self.errors.pop(0)
        return super().flush(batch, claims, prepared, **options)


class Rig:
    """A pipeline with everything around it in the test's hands; its clock moves a second with every step."""

    def __init__(
        self,
        url: str,
        log: FakeLog,
        options: Options = EAGER,
        *,
        owner: str = "me",
        observer: Observer | None = None,
    ) -> None:
        self.url = url
        self.log = log
        self.now = 0.0
        self.flush_seconds = 0.0
        """What a flush takes."""
        self.writer = FakeWriter()
        self.decoder = FakeDecoder(log)
        self.flusher = self.flusher_of(owner)
        assignment = Assignment()
        collector = Collector(
            topic=TOPIC,
            order="record",
            decoder=self.decoder,
            breaker=Breaker(BreakerLimits(share=0.5, window=20, run=10)),
            assignment=assignment,
            clock=lambda: self.now,
        )
        self.pipeline = Pipeline(
            dataset="trades",
            kafka=log,
            assignment=assignment,
            collector=collector,
            flusher=self.flusher,
            writer=self.writer,
            options=options,
            clock=lambda: self.now,
            dice=random.Random(7),
            observer=observer,
        )
        log.listener = self.pipeline

    def flusher_of(self, owner: str) -> FaultyFlusher:
        flusher = FaultyFlusher(
            dataset=DATASETS["trades"],
            source=SOURCE,
            owner=owner,
            connect=lambda: open_connection(self.url, application_name="test"),
        )
        flusher.errors, flusher.claim_errors, flusher.sizes = [], [], []
        flusher.passing = self._pass
        return flusher

    def _pass(self) -> None:
        self.now += self.flush_seconds

    def steps(self, count: int = 6, seconds: float = 1.0) -> None:
        for _ in range(count):
            self.now += seconds
            self.pipeline.step()


def ids(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT trade_id FROM trades ORDER BY 1")))


def everything(log: FakeLog) -> list[int]:
    return sorted(one.trade_id for told in log.told.values() for one in told if one.trade_id is not None)


def chain_is_whole(engine: Engine) -> bool:
    """Say whether every partition's ledger runs without hole or overlap."""
    with engine.connect() as connection:
        holes = connection.scalar(
            text(
                "SELECT count(*) FROM (SELECT from_offset, lag(to_offset) OVER"
                " (PARTITION BY partition ORDER BY id) AS before FROM sink.flushes) f WHERE before <> from_offset"
            )
        )
    return bool(holes == 0)
