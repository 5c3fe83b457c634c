"""The repository's payloads by dataset, and the time each of them is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import attrgetter

from sqlalchemy import Table

from sink.datasets import DATASETS
from sink.db.hypertables import hypertable_of
from sink.db.payloads import CandlePayload, FundingPayload, OpenInterestPayload, TradePayload

Payload = CandlePayload | TradePayload | OpenInterestPayload | FundingPayload

DATASET_OF: dict[type[Payload], str] = {
    CandlePayload: "candles_1m",
    TradePayload: "trades",
    OpenInterestPayload: "oi_snapshots",
    FundingPayload: "funding",
}


def _options(dataset: str) -> tuple[str, timedelta]:
    """Give the name of a dataset's time column, which is also the payload's field, and how long its rows are kept."""
    table = DATASETS[dataset].model.__table__
    options = hypertable_of(table) if isinstance(table, Table) else None
    assert options is not None, f"{dataset} is no hypertable"  # noqa: S101 (every dataset is one, by its model)
    return options.time, options.retain


TIME_FIELD: dict[type[Payload], str] = {kind: _options(dataset)[0] for kind, dataset in DATASET_OF.items()}
RETAINED: dict[type[Payload], timedelta] = {kind: _options(dataset)[1] for kind, dataset in DATASET_OF.items()}
_GET_TIME = {kind: attrgetter(field) for kind, field in TIME_FIELD.items()}


def event_time(payload: Payload) -> datetime:
    """Give the time that a payload is about: what its hypertable is partitioned by."""
    time: datetime = _GET_TIME[type(payload)](payload)
    return time
