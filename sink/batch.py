"""Messages, and what decoding makes of them, as columns. Pure: no clock, no network, no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

MESSAGE = "message"
"""Column of a decoded frame: index of the row's message within its :class:`Messages`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Raw messages of one topic as parallel lists, in the order in which Kafka gave them.

    ``timestamps`` are Kafka's record times in UTC microseconds, -1 where a message has none.
    """

    topic: str
    partitions: Sequence[int]
    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Sequence[tuple[str, bytes | None]] | None]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A message that cannot become a row: its index within the messages, and why."""

    index: int
    reason: str
    error: str
    sqlstate: str | None = None
    schema_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The good messages as columns, the bad ones with their reasons.

    ``frame`` holds the column ``message`` (UInt32), then the dataset's contract columns in the model's order (String,
    Datetime in microseconds UTC, Decimal(38, 18) for every numeric, Int64, Boolean), then ``observed_at`` (nullable).
    """

    frame: pl.DataFrame
    bad: list[BadRow] = field(default_factory=list)
    schema_ids: frozenset[str] = frozenset()
    unknown_fields: int = 0
