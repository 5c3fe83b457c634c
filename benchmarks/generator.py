"""The rows of a workload: as columns in the order of sending, as Avro messages, and as the table's final text."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from fastavro import parse_schema, schemaless_writer

from benchmarks.plan import SYMBOLS, Bulk
from sink.avro.framing import frame_confluent
from sink.avro.schemas import Kind, columns_of, shipped_schema, without_logical_types
from sink.datasets import DATASETS

UNIT = 10**10
"""Amounts are made in 10^-8; this makes the 10^-18 of the schema of them."""
_DECIMALS, _PADDING = 8, "0" * 10
TRADE_EVERY = 25_000
"""Microseconds between trades: a million spans seven hours, ten million three days."""
DAYS_AGO = 5
"""Where the time of the rows begins, so that they end before now and none is beyond retention."""
_SLICE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What a workload sends, and what must stand in the table afterwards.

    ``sent`` has the columns of the dataset (times in UTC microseconds, amounts in 10^-8) and ``partition``, in the
    order of sending. ``expected`` is a file with the final rows as :mod:`benchmarks.compare` reads them from the
    table, ``digest`` its MD5, ``keys`` their number.
    """

    sent: pl.DataFrame
    expected: Path
    digest: str
    keys: int


def generate(workload: Bulk, *, now: datetime, directory: Path) -> Generated:
    """Make the rows of a workload; the same workload on the same day gives the same rows."""
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS_AGO)
    first = int(begin.timestamp()) * 1_000_000
    sent = _MAKERS[workload.dataset](workload, first)
    return expect(sent, workload.dataset, directory / f"{workload.name}.tsv")


def expect(sent: pl.DataFrame, dataset: str, expected: Path) -> Generated:
    """Work out what the table must hold once everything of ``sent`` is durable: the last version of each key."""
    key = list(DATASETS[dataset].key)
    final = sent.unique(key, keep="last", maintain_order=True).sort(key)
    _written(final, dataset).write_csv(
        expected, separator="\t", include_header=False, null_value="\\N", quote_style="never"
    )
    with expected.open("rb") as file:
        digest = hashlib.file_digest(file, "md5").hexdigest()
    return Generated(sent=sent, expected=expected, digest=digest, keys=final.height)


def _trades(workload: Bulk, first: int) -> pl.DataFrame:
    mix = pl.col("mix")
    number = mix // 256 % SYMBOLS
    return _mixed(workload.rows).select(
        _symbol(number),
        (first + pl.col("index") * TRADE_EVERY).alias("trade_ts"),
        pl.col("index").alias("trade_id"),
        (1_000_000_000 + mix * 1_009).alias("price"),
        (1 + mix % 100_000_000).alias("quantity"),
        (mix % 2 == 0).alias("is_buyer_maker"),
        # never null: one peer leaves a column out of a whole batch where it is null in the batch's first row
        pl.when(mix % 2 == 0).then(pl.lit("sell")).otherwise(pl.lit("buy")).alias("side"),
        (number % workload.partitions).alias("partition"),
    )


def _candles(workload: Bulk, first: int) -> pl.DataFrame:
    """Each minute of every symbol is sent ``versions`` times before the next one begins, as a running market does."""
    index, mix = pl.col("index"), pl.col("mix")
    number = index % SYMBOLS
    minute = index // (SYMBOLS * workload.versions)
    volume = 1 + mix % 100_000_000
    return _mixed(workload.rows).select(
        _symbol(number),
        (first + minute * 60_000_000).alias("bucket_start"),
        *((1_000_000_000 + mix * factor).alias(name) for name, factor in _PRICES.items()),
        volume.alias("volume"),
        (volume * 3).alias("quote_volume"),
        (1 + mix % 500).alias("trade_count"),
        pl.when(mix % 5 > 0).then(volume // 2).alias("taker_buy_base_volume"),
        pl.lit(None, dtype=pl.Int64).alias("taker_buy_quote_volume"),
        (number % workload.partitions).alias("partition"),
    )


def _open_interest(workload: Bulk, first: int) -> pl.DataFrame:
    """Every symbol once a minute."""
    index, mix = pl.col("index"), pl.col("mix")
    number = index % SYMBOLS
    contracts = 1_000_000_000 + mix * 977
    return _mixed(workload.rows).select(
        _symbol(number),
        (first + index // SYMBOLS * 60_000_000).alias("snapshot_ts"),
        contracts.alias("open_interest"),
        (contracts * 3).alias("open_interest_usd"),
        pl.when(mix % 5 > 0).then(mix % 100_000_000).alias("basis_points"),
        (number % workload.partitions).alias("partition"),
    )


def _fundings(workload: Bulk, first: int) -> pl.DataFrame:
    """Every symbol once a minute, far more often than exchanges do, so that the rows fit into a few days."""
    index, mix = pl.col("index"), pl.col("mix")
    number = index % SYMBOLS
    return _mixed(workload.rows).select(
        _symbol(number),
        (first + index // SYMBOLS * 60_000_000).alias("funding_ts"),
        (1 + mix % 100_000).alias("funding_rate"),
        (1_095 + mix % 100_000 * 1_095).alias("annualised_rate"),
        pl.when(mix % 2 == 0).then(mix % 1_000_000).alias("payment"),
        (number % workload.partitions).alias("partition"),
    )


_MAKERS = {"trades": _trades, "candles_1m": _candles, "oi_snapshots": _open_interest, "funding": _fundings}
_PRICES = {"open": 1_000, "high": 1_003, "low": 997, "close": 1_001}


def _mixed(rows: int) -> pl.DataFrame:
    index = pl.int_range(rows, dtype=pl.Int64).alias("index")
    return pl.select(index).with_columns((pl.col("index") * 2_654_435_761 % 2**32).alias("mix"))


def _symbol(number: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit("COIN"), number.cast(pl.String).str.zfill(2), pl.lit("USDT")).alias("symbol")


def _written(frame: pl.DataFrame, dataset: str) -> pl.DataFrame:
    """Write every value as the table's text form has it, in the dataset's order of columns."""
    return frame.select(_text(column.name, column.kind) for column in _columns(dataset))


def _text(name: str, kind: Kind) -> pl.Expr:
    column = pl.col(name)
    if kind is Kind.FLAG:
        return pl.when(column).then(pl.lit("t")).otherwise(pl.lit("f")).alias(name)
    if kind is Kind.AMOUNT:
        whole, part = column // 10**_DECIMALS, column % 10**_DECIMALS
        digits = part.cast(pl.String).str.zfill(_DECIMALS)
        return pl.concat_str(whole.cast(pl.String), pl.lit("."), digits, pl.lit(_PADDING)).alias(name)
    return column


def _columns(dataset: str) -> list[Any]:
    contract = DATASETS[dataset].columns
    known = {column.name: column for column in columns_of(shipped_schema(dataset))}
    return [known[name] for name in contract]


class Encoder:
    """Makes messages of one dataset, with the registry's id before the body; ``encode`` takes a row of ``sent``."""

    def __init__(self, dataset: str, schema_id: int) -> None:
        self._header = frame_confluent(schema_id, b"")
        self._schema = parse_schema(without_logical_types(shipped_schema(dataset).json))
        self._columns = _columns(dataset)

    def encode(self, row: dict[str, Any]) -> bytes:
        """Encode one message."""
        record = {"observed_at": None}
        for column in self._columns:
            value = row[column.name]
            if column.kind is Kind.AMOUNT and value is not None:
                value *= UNIT
                value = value.to_bytes(value.bit_length() // 8 + 1, "big")
            record[column.name] = value
        body = io.BytesIO()
        schemaless_writer(body, self._schema, record)
        return self._header + body.getvalue()


def rows_of(sent: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Give the rows in the order of sending, as mappings."""
    for part in sent.iter_slices(_SLICE):
        yield from part.iter_rows(named=True)


def flushed(generated: Generated, dataset: str) -> pl.DataFrame:
    """Give the rows as the sink's flush would write them, lineage included: what the limit copies."""
    amounts = [column.name for column in _columns(dataset) if column.kind is Kind.AMOUNT]
    times = [column.name for column in _columns(dataset) if column.kind is Kind.TIME]
    ranked = pl.int_range(pl.len(), dtype=pl.Int64).over("partition").alias("source_offset")
    return generated.sent.select(
        *(_value(name, amounts, times) for name in DATASETS[dataset].columns),
        pl.col(DATASETS[dataset].time).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("observed_at"),
        pl.col("partition").cast(pl.Int32).alias("source_partition"),
        ranked,
    )


def _value(name: str, amounts: list[str], times: list[str]) -> pl.Expr:
    column = pl.col(name)
    if name in amounts:
        return (column.cast(pl.Decimal(38, 18)) / pl.lit(10**_DECIMALS).cast(pl.Decimal(38, 0))).cast(
            pl.Decimal(38, 18)
        )
    if name in times:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return column
