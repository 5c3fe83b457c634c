"""Every table: the four datasets as hypertables, and the sink's own bookkeeping in schema ``sink``."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sink.db.hypertables import hypertable
from sink.db.upsert import INGESTED, ORDER

SINK_SCHEMA = "sink"
PRECISION, SCALE = 38, 18

Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Amount = Annotated[Decimal, mapped_column(Numeric(PRECISION, SCALE))]
Big = Annotated[int, mapped_column(BigInteger)]
String = Annotated[str, mapped_column(Text)]
Symbol = Annotated[str, mapped_column(Text(collation="C"))]
"""Compared byte by byte: cheaper than by the rules of a language, which a new C library may change under a key."""


class Base(DeclarativeBase):
    """Registry of every table that Alembic manages."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Row:
    """Columns that every dataset carries: when the row came, which message it came from."""

    created_at: Mapped[Timestamp] = mapped_column(server_default=func.now(), sort_order=100)
    observed_at: Mapped[Timestamp] = mapped_column(server_default=func.clock_timestamp(), sort_order=101)
    source_partition: Mapped[int] = mapped_column(Integer, server_default=text("-1"), sort_order=102)
    source_offset: Mapped[Big] = mapped_column(server_default=text("-1"), sort_order=103)


def symbol_check() -> CheckConstraint:
    """Hold symbols to 1-64 characters."""
    return CheckConstraint("char_length(symbol) BETWEEN 1 AND 64", name="symbol_length")


class Candle1m(Row, Base):
    """One 1-minute OHLCV candle; prices in quote currency, volumes in base currency."""

    __tablename__ = "candles_1m"
    __table_args__ = (
        symbol_check(),
        Index(None, "bucket_start"),
        hypertable(
            time="bucket_start", chunk=timedelta(days=7), retain=timedelta(days=180), columnstore=timedelta(days=14)
        ),
    )

    symbol: Mapped[Symbol] = mapped_column(primary_key=True)
    bucket_start: Mapped[Timestamp] = mapped_column(primary_key=True)
    open: Mapped[Amount]
    high: Mapped[Amount]
    low: Mapped[Amount]
    close: Mapped[Amount]
    volume: Mapped[Amount]
    quote_volume: Mapped[Amount | None]
    trade_count: Mapped[Big | None]
    taker_buy_base_volume: Mapped[Amount | None]
    taker_buy_quote_volume: Mapped[Amount | None]


class Trade(Row, Base):
    """One aggregated trade; ``side`` is the taker's."""

    __tablename__ = "trades"
    __table_args__ = (
        symbol_check(),
        CheckConstraint("side IN ('buy', 'sell')", name="side"),
        Index(None, "trade_ts"),
        hypertable(
            time="trade_ts",
            chunk=timedelta(days=3),
            retain=timedelta(days=30),
            columnstore=timedelta(days=7),
        ),
    )

    symbol: Mapped[Symbol] = mapped_column(primary_key=True)
    trade_ts: Mapped[Timestamp] = mapped_column(primary_key=True)
    trade_id: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    price: Mapped[Amount]
    quantity: Mapped[Amount]
    is_buyer_maker: Mapped[bool]
    side: Mapped[String | None]


class OpenInterestSnapshot(Row, Base):
    """One snapshot of a future's open interest; ``basis_points`` is the future over spot."""

    __tablename__ = "oi_snapshots"
    __table_args__ = (
        symbol_check(),
        Index(None, "snapshot_ts"),
        hypertable(
            time="snapshot_ts", chunk=timedelta(days=7), retain=timedelta(days=120), columnstore=timedelta(days=14)
        ),
    )

    symbol: Mapped[Symbol] = mapped_column(primary_key=True)
    snapshot_ts: Mapped[Timestamp] = mapped_column(primary_key=True)
    open_interest: Mapped[Amount]
    open_interest_usd: Mapped[Amount | None]
    basis_points: Mapped[Decimal | None] = mapped_column(Numeric())


class Funding(Row, Base):
    """One funding of a perpetual swap; rates are fractions, ``payment`` is quote currency per contract."""

    __tablename__ = "funding"
    __table_args__ = (
        symbol_check(),
        Index(None, "funding_ts"),
        hypertable(
            time="funding_ts", chunk=timedelta(days=30), retain=timedelta(days=365), columnstore=timedelta(days=60)
        ),
    )

    symbol: Mapped[Symbol] = mapped_column(primary_key=True)
    funding_ts: Mapped[Timestamp] = mapped_column(primary_key=True)
    funding_rate: Mapped[Amount]
    annualised_rate: Mapped[Amount | None]
    payment: Mapped[Amount | None]


class Position(Base):
    """The next offset of one partition and the claim of its present owner; decides where reading starts."""

    __tablename__ = "positions"
    __table_args__ = {"schema": SINK_SCHEMA}  # noqa: RUF012 (SQLAlchemy reads a plain dict)

    sink_id: Mapped[String] = mapped_column(primary_key=True)
    topic: Mapped[String] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    topic_id: Mapped[String | None]
    next_offset: Mapped[Big]
    leader_epoch: Mapped[int | None] = mapped_column(Integer)
    claim_token: Mapped[UUID]
    claim_seq: Mapped[Big]
    owner: Mapped[String]
    claimed_at: Mapped[Timestamp] = mapped_column(server_default=func.now())
    updated_at: Mapped[Timestamp] = mapped_column(server_default=func.now())


class Flush(Base):
    """One contiguous stretch of offsets made durable; the chain ``to_offset`` to ``from_offset`` has no hole."""

    __tablename__ = "flushes"
    __table_args__ = (
        Index(None, "sink_id", "topic", "partition", "id"),
        CheckConstraint("kind IN ('flush', 'replay', 'rewind', 'skip', 'gap')", name="kind"),
        {"schema": SINK_SCHEMA},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    sink_id: Mapped[String]
    topic: Mapped[String]
    partition: Mapped[int] = mapped_column(Integer)
    from_offset: Mapped[Big]
    to_offset: Mapped[Big]
    claim_seq: Mapped[Big]
    owner: Mapped[String]
    kind: Mapped[String]
    replay_id: Mapped[String | None]
    reason: Mapped[String | None]
    """Why an operator moved the position."""
    messages: Mapped[Big] = mapped_column(server_default=text("0"))
    rows_written: Mapped[Big] = mapped_column(server_default=text("0"))
    rows_not_newer: Mapped[Big] = mapped_column(server_default=text("0"))
    rows_deduplicated: Mapped[Big] = mapped_column(server_default=text("0"))
    ignored: Mapped[Big] = mapped_column(server_default=text("0"))
    late: Mapped[Big] = mapped_column(server_default=text("0"))
    quarantined: Mapped[Big] = mapped_column(server_default=text("0"))
    first_event_at: Mapped[Timestamp | None]
    last_event_at: Mapped[Timestamp | None]
    schema_ids: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    flushes: Mapped[int | None] = mapped_column(Integer)
    """How many made this entry; of each the three times below, added up in seconds. NULL where none was taken."""
    filled_seconds: Mapped[float | None] = mapped_column(REAL)
    """From its first message until the batch was full or due: polling and decoding, and waiting for messages."""
    waited_seconds: Mapped[float | None] = mapped_column(REAL)
    """Then, until its transaction began: the flush before, failed tries, and what the writer does besides."""
    written_seconds: Mapped[float | None] = mapped_column(REAL)
    """Then, until this entry; what came after the entry (COMMIT above all) is in that of this writer's next flush."""
    opened_at: Mapped[Timestamp] = mapped_column(server_default=func.now())
    committed_at: Mapped[Timestamp] = mapped_column(server_default=func.now())


class Quarantine(Base):
    """A message that cannot become a row, kept whole with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = {"schema": SINK_SCHEMA}  # noqa: RUF012 (SQLAlchemy reads a plain dict)

    sink_id: Mapped[String] = mapped_column(primary_key=True)
    topic: Mapped[String] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    offset: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[String]
    error: Mapped[String]
    sqlstate: Mapped[String | None]
    schema_id: Mapped[String | None]
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    value: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[Any | None] = mapped_column(JSONB)
    kafka_at: Mapped[Timestamp | None]
    quarantined_at: Mapped[Timestamp] = mapped_column(server_default=func.now())
    replayed_at: Mapped[Timestamp | None]
    dropped_at: Mapped[Timestamp | None]
    drop_reason: Mapped[String | None]


class Replay(Base):
    """A bounded stretch of a topic, read again beside the group: what it reads, who is at it, what came of it."""

    __tablename__ = "replays"
    __table_args__ = (Index(None, "sink_id", "created_at"), {"schema": SINK_SCHEMA})

    id: Mapped[String] = mapped_column(primary_key=True)
    sink_id: Mapped[String]
    topic: Mapped[String]
    ranges: Mapped[dict[str, list[int]]] = mapped_column(JSONB)
    symbols: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    owner: Mapped[String]
    created_at: Mapped[Timestamp] = mapped_column(server_default=func.now())
    seen_at: Mapped[Timestamp] = mapped_column(server_default=func.now())
    finished_at: Mapped[Timestamp | None]
    totals: Mapped[Any | None] = mapped_column(JSONB)


class Sink(Base):
    """A sink and the Kafka cluster it reads, so that a move or a restored database is noticed."""

    __tablename__ = "sinks"
    __table_args__ = {"schema": SINK_SCHEMA}  # noqa: RUF012 (SQLAlchemy reads a plain dict)

    sink_id: Mapped[String] = mapped_column(primary_key=True)
    kafka_cluster_id: Mapped[String]
    group_id: Mapped[String]
    created_at: Mapped[Timestamp] = mapped_column(server_default=func.now())


class Retention(Base):
    """How long a hypertable's rows are kept; on the Apache-2 edition the sink drops older chunks itself."""

    __tablename__ = "retention"
    __table_args__ = {"schema": SINK_SCHEMA}  # noqa: RUF012 (SQLAlchemy reads a plain dict)

    table_name: Mapped[String] = mapped_column(primary_key=True)
    drop_after: Mapped[timedelta]


def table_of(model: type[Base]) -> Table:
    """Give the table of a model."""
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    return table


def contract_columns(model: type[Base]) -> tuple[Column[Any], ...]:
    """Give the columns that a message or payload fills, in the model's order."""
    return tuple(column for column in table_of(model).columns if column.name not in (*ORDER, INGESTED))
