"""The tables and topics at a glance: rows, last values, candles, and how far the sink is behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sink.datasets import DATASETS
from sink.db.contents import SymbolRows, next_offsets, reading, rows_by_symbol
from sink.db.models import Candle1m, Funding, OpenInterestSnapshot
from sink.db.queries import fetch_candles, latest_funding, latest_open_interest

MINUTE = timedelta(minutes=1)


class Topic(Protocol):
    """What is asked of a topic; :class:`sink.kafka.consumer.TopicConsumer` is the real one."""

    topic: str

    def partitions(self) -> list[int]:
        """List the topic's partitions."""

    def log_range(self, partition: int) -> tuple[int, int]:
        """Give the first offset that exists and the one behind the last message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the tables hold, by dataset and symbol."""

    rows: Mapping[str, list[SymbolRows]]
    fundings: list[Funding]
    """The last one of each symbol."""
    interests: list[OpenInterestSnapshot]
    """The last one of each symbol."""
    candles: list[Candle1m]
    """The last minutes of the symbol that was asked for."""


def look(url: str, *, symbol: str, minutes: int) -> Overview:
    """Read the overview from a database; ``symbol`` is the one whose last ``minutes`` of candles are wanted."""
    with reading(url) as session:
        rows = {name: rows_by_symbol(session, dataset.model, time=dataset.time) for name, dataset in DATASETS.items()}
        ends = [part.last + MINUTE for part in rows["candles_1m"] if part.symbol == symbol]
        fundings = [latest_funding(session, part.symbol) for part in rows["funding"]]
        interests = [latest_open_interest(session, part.symbol) for part in rows["oi_snapshots"]]
        return Overview(
            rows=rows,
            fundings=[funding for funding in fundings if funding is not None],
            interests=[interest for interest in interests if interest is not None],
            candles=[candle for end in ends for candle in fetch_candles(session, symbol, end - minutes * MINUTE, end)],
        )


def lag(url: str, topic: Topic, *, sink_id: str) -> int:
    """Count the messages of a topic that are not durable yet, by the log's ends and the positions in the database."""
    with reading(url) as session:
        durable = next_offsets(session, sink_id=sink_id, topic=topic.topic)
    behind = 0
    for partition in topic.partitions():
        start, end = topic.log_range(partition)
        behind += max(0, end - durable.get(partition, start))
    return behind
