"""DATASETS binds each dataset's model, Avro schema and topic; everything else iterates over it."""

from __future__ import annotations

from dataclasses import dataclass

from sink.db import models


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset: its name is the table, the schema file, the topic's suffix and the group's suffix."""

    name: str
    """The one word used for table, schema file, topic, group and metric label."""
    model: type[models.Base]
    record: str
    """Full name of the Avro record, for example ``market.Trade``."""


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(name="candles_1m", model=models.Candle1m, record="market.Candle1m"),
        Dataset(name="trades", model=models.Trade, record="market.Trade"),
        Dataset(name="oi_snapshots", model=models.OpenInterestSnapshot, record="market.OpenInterestSnapshot"),
        Dataset(name="funding", model=models.Funding, record="market.Funding"),
    )
}
