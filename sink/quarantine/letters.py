"""A kept message on its way out: a dead letter with Kafka Connect's headers, or a line of JSON. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sink.db.quarantined import Entry, Kept
from sink.kafka.deliver import Letter
from sink.ledger import Source
from sink.quarantine.retry import headers_of, micros_of

CONNECT = "__connect.errors."
OWN = "__sink.errors."
"""Begins the headers that Kafka Connect does not have."""

_WRITING = frozenset({"rejected", "ts_range", "no_observed_at"})
"""Found when rows are written; everything else is found when the value is decoded."""


def letter_of(kept: Kept, source: Source, dataset: str) -> Letter:
    """Make the dead letter: key, value, record time and headers as they were, and the headers that tell the error."""
    at = micros_of(kept.entry.kafka_at)
    told = {**_connect_headers(kept, source), **_own_headers(kept, dataset)}
    return Letter(
        key=kept.key,
        value=kept.value,
        headers=[*headers_of(kept), *((name, None if text is None else text.encode()) for name, text in told.items())],
        timestamp=max(0, at // 1000),
    )


def _connect_headers(kept: Kept, source: Source) -> dict[str, str | None]:
    """Give what a consumer of Kafka Connect's dead letter topics looks for, under the same names."""
    entry = kept.entry
    writing = entry.reason in _WRITING
    told: Mapping[str, str | None] = {
        "topic": source.topic,
        "partition": str(entry.partition),
        "offset": str(entry.offset),
        "connector.name": source.sink_id,
        "task.id": "0",
        "stage": "TASK_PUT" if writing else "VALUE_CONVERTER",
        "class.name": "sink.flush.Flusher" if writing else "sink.avro.columns.ColumnarDecoder",
        "exception.class.name": "sink.errors.BadMessage",
        "exception.message": f"{entry.reason}: {entry.error}",
        "exception.stacktrace": None,  # as Connect does where there is none
    }
    return {f"{CONNECT}{name}": text for name, text in told.items()}


def _own_headers(kept: Kept, dataset: str) -> dict[str, str | None]:
    entry = kept.entry
    told = {
        "dataset": dataset,
        "reason": entry.reason,
        "sqlstate": entry.sqlstate,
        "schema.id": entry.schema_id,
        "quarantined.at": entry.quarantined_at.isoformat(),
    }
    return {f"{OWN}{name}": text for name, text in told.items() if text is not None}


def plain(kept: Kept, dataset: str) -> dict[str, Any]:
    """Give a kept message as JSON holds it, bytes in base64."""
    return {
        **plain_entry(kept.entry, dataset),
        "key": _base64(kept.key),
        "value": _base64(kept.value),
        "headers": [{"name": name, "value": value} for name, value in kept.headers],
    }


def plain_entry(entry: Entry, dataset: str) -> dict[str, Any]:
    """Give what is known of a kept message as JSON holds it, times in ISO 8601."""
    told = {name.name: getattr(entry, name.name) for name in fields(entry)}
    return {
        "dataset": dataset,
        **{name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()},
    }


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode("ascii")
