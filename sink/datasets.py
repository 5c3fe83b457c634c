"""DATASETS binds each dataset's model, Avro schema and topic; everything else iterates over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sink.db import models
from sink.db.hypertables import Hypertable, hypertable_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset: its name is the table, the schema file, the topic's suffix and the group's suffix."""

    name: str
    """The one word used for table, schema file, topic, group and metric label."""
    model: type[models.Base]
    record: str
    """Full name of the Avro record, for example ``market.Trade``."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a message fills, in the model's order."""
        return tuple(column.name for column in models.contract_columns(self.model))

    @property
    def required(self) -> tuple[str, ...]:
        """Contract columns that may not be null."""
        return tuple(column.name for column in models.contract_columns(self.model) if not column.nullable)

    @property
    def texts(self) -> tuple[str, ...]:
        """Contract columns that hold text."""
        columns = models.contract_columns(self.model)
        return tuple(column.name for column in columns if column.type.python_type is str)

    @property
    def key(self) -> tuple[str, ...]:
        """Columns of the primary key, in the key's order."""
        return tuple(column.name for column in models.table_of(self.model).primary_key)

    @property
    def time(self) -> str:
        """The column that says when a row happened; the hypertable is partitioned by it."""
        return self._options.time

    @property
    def retain(self) -> timedelta | None:
        """How long the model says that rows are kept; None for ever."""
        return self._options.retain

    @property
    def chunk(self) -> timedelta:
        """How much time a chunk of the hypertable spans, as the model says."""
        return self._options.chunk

    @property
    def _options(self) -> Hypertable:
        options = hypertable_of(models.table_of(self.model))
        if options is None:
            raise TypeError(f"{self.name}: a dataset's model must be a hypertable")
        return options


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(name="candles_1m", model=models.Candle1m, record="market.Candle1m"),
        Dataset(name="trades", model=models.Trade, record="market.Trade"),
        Dataset(name="oi_snapshots", model=models.OpenInterestSnapshot, record="market.OpenInterestSnapshot"),
        Dataset(name="funding", model=models.Funding, record="market.Funding"),
    )
}
