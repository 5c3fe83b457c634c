"""The repository's payloads by dataset, and the time each of them is about."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from sink.datasets import DATASETS
from sink.db.payloads import CandlePayload, FundingPayload, OpenInterestPayload, TradePayload

Payload = CandlePayload | TradePayload | OpenInterestPayload | FundingPayload

DATASET_OF: dict[type[Payload], str] = {
    CandlePayload: "candles_1m",
    TradePayload: "trades",
    OpenInterestPayload: "oi_snapshots",
    FundingPayload: "funding",
}
TIME_FIELD: dict[type[Payload], str] = {kind: DATASETS[dataset].time for kind, dataset in DATASET_OF.items()}
"""The field that says what moment a payload is about: what its hypertable is partitioned by."""
_GET_TIME = {kind: attrgetter(field) for kind, field in TIME_FIELD.items()}


def event_time(payload: Payload) -> datetime:
    """Give the time that a payload is about: what its hypertable is partitioned by."""
    time: datetime = _GET_TIME[type(payload)](payload)
    return time
