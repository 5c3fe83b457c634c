"""Flush and claim of trades on a real database, and what stands there afterwards."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Engine, text

from sink.datasets import DATASETS
from sink.db.connect import open_connection
from sink.flush import Flusher
from sink.ledger import Claim, Source, Start
from sink.transactions import Limits
from tests.build import TOPIC

SOURCE = Source(sink_id="sink.trades", topic=TOPIC)


def flusher_of(url: str, owner: str = "me", limits: Limits | None = None) -> Flusher:
    return Flusher(
        dataset=DATASETS["trades"],
        source=SOURCE,
        owner=owner,
        connect=lambda: open_connection(url, application_name="test"),
        limits=limits,
    )


def claimed(flusher: Flusher, partition: int = 0, **start: Any) -> Claim:
    facts: dict[str, Any] = {"log_start": 0, "initial": {}} | start
    return flusher.claim(Start(partition=partition, **facts), uuid.uuid4())


def rows_of(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def trades(engine: Engine) -> list[tuple[Any, ...]]:
    return rows_of(engine, "SELECT trade_id, price, source_partition, source_offset FROM trades ORDER BY trade_id")


def position(engine: Engine, partition: int = 0) -> int:
    (row,) = rows_of(engine, f"SELECT next_offset FROM sink.positions WHERE partition = {partition}")
    return int(row[0])
