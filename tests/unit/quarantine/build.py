"""Kept messages, small enough to read in a test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sink.db.quarantined import Entry, Kept

NOON = datetime(2026, 6, 2, 12, tzinfo=UTC)


def entry(**changes: Any) -> Entry:
    told: dict[str, Any] = {
        "partition": 3,
        "offset": 120,
        "state": "open",
        "reason": "decode",
        "error": "the body of 9 bytes ends in the middle of a field",
        "sqlstate": None,
        "schema_id": "7",
        "kafka_at": NOON,
        "quarantined_at": NOON,
        "replayed_at": None,
        "dropped_at": None,
        "drop_reason": None,
        "size": 12,
    }
    return Entry(**told | changes)


def kept(value: bytes | None = b"value", **changes: Any) -> Kept:
    headers = [("trace", "AAE="), ("empty", None)]
    return Kept(entry=entry(**changes), key=b"BTC", value=value, headers=headers)
