"""Finds the message that a row came from, and the other versions of its key that stand near it in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from sink.avro.decode import Decoder
from sink.avro.framing import header_of, label_of
from sink.batch import Clock, Messages, joined, recorded_at
from sink.datasets import Dataset
from sink.errors import BadMessage
from sink.inspection.compare import versions

Place = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What one message says of the key."""

    place: Place
    observed_at: datetime | None
    values: Mapping[str, Any]
    """The contract columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A message as Kafka has it."""

    place: Place
    kafka_at: datetime | None
    schema_id: str | None
    """The registry's id or the fingerprint; None where the value has no header."""
    key: bytes | None
    size: int | None
    """Bytes of the value."""
    headers: tuple[str, ...]
    """Their names."""
    refused: str | None
    """Why it cannot be decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What was found in the log."""

    raw: Raw | None
    """None where the log has no message at that place."""
    told: Version | None
    """None where it cannot be decoded or speaks of another key."""
    others: Sequence[Version]
    """Of the same key, in the order of the log."""


def trace(
    chunks: Sequence[Messages],
    decoder: Decoder,
    dataset: Dataset,
    *,
    clock: Clock,
    place: Place,
    key: Mapping[str, object],
) -> Traced:
    """Look for the message at ``place``, and for versions of ``key``, among messages of its neighbourhood."""
    if not chunks:
        return Traced(raw=None, told=None, others=())
    messages = chunks[0]
    for chunk in chunks[1:]:
        messages = joined(messages, chunk)
    decoded = decoder.decode(messages)
    places = list(zip(messages.partitions, messages.offsets, strict=True))
    refused = {places[bad.index]: bad.error for bad in decoded.bad}
    same = versions(messages, decoded, clock=clock)
    for name, value in key.items():
        literal = pl.lit(value) if not isinstance(value, datetime) else pl.lit(value).cast(pl.Datetime("us", "UTC"))
        same = same.filter(pl.col(name) == literal)
    found = [_version(row, dataset) for row in same.sort("source_partition", "source_offset").iter_rows(named=True)]
    return Traced(
        raw=_raw(messages, places.index(place), refused.get(place)) if place in places else None,
        told=next((one for one in found if one.place == place), None),
        others=[one for one in found if one.place != place],
    )


def is_newer(version: Version, observed_at: datetime, place: Place) -> bool:
    """Say whether a version would replace a row of that order."""
    if version.observed_at is None:
        return False
    return (version.observed_at, version.place[1], version.place[0]) > (observed_at, place[1], place[0])


def _version(row: Mapping[str, Any], dataset: Dataset) -> Version:
    return Version(
        place=(row["source_partition"], row["source_offset"]),
        observed_at=row["observed_at"],
        values={name: row[name] for name in dataset.columns},
    )


def _raw(messages: Messages, index: int, refused: str | None) -> Raw:
    value, stamp = messages.values[index], messages.timestamps[index]
    return Raw(
        place=(messages.partitions[index], messages.offsets[index]),
        kafka_at=recorded_at(stamp),
        schema_id=_schema_id(value),
        key=messages.keys[index],
        size=None if value is None else len(value),
        headers=tuple(name for name, _ in messages.headers[index] or ()),
        refused=refused,
    )


def _schema_id(value: bytes | None) -> str | None:
    try:
        return None if value is None else label_of(header_of(value))
    except BadMessage:
        return None
