"""Which topic a payload goes to, and the bytes it becomes there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from sink.avro.encode import Encoder
from sink.avro.framing import frame_confluent, frame_single_object
from sink.avro.registry import Registry
from sink.avro.schemas import Schema, columns_of, shipped_schema
from sink.errors import BadMessage
from sink.producing.payload import Payload


class Route:
    """The way of one dataset's payloads: its topic and its encoding."""

    def __init__(self, dataset: str, *, topic: str, registry: Registry | None, schemas: Path | None) -> None:
        self.topic = topic
        schema = shipped_schema(dataset, schemas)
        if registry is None:
            self._header = frame_single_object(schema.fingerprint, b"")
        else:
            self._header = frame_confluent(_schema_id(registry, f"{topic}-value", schema), b"")
        self._encode = Encoder(schema).encode
        self._names = tuple(column.name for column in columns_of(schema))
        self._values: Callable[[Payload], tuple[Any, ...]] = attrgetter(*self._names)

    def value(self, payload: Payload) -> bytes:
        """Give the message's value; naive times mean UTC, as in the repository.

        Raises BadMessage, naming payload and field, for what the schema cannot hold exactly.
        """
        record = dict(zip(self._names, self._values(payload), strict=True))
        for name, value in record.items():
            if type(value) is datetime and value.tzinfo is None:
                record[name] = value.replace(tzinfo=UTC)
        try:
            return self._header + self._encode(record)
        except BadMessage as error:
            raise BadMessage(error.reason, f"{payload!r} cannot be produced: {error}") from error


def _schema_id(registry: Registry, subject: str, schema: Schema) -> int:
    """Look the schema up before registering it: many registries let producers read only."""
    found = registry.lookup(subject, schema.text)
    return registry.register(subject, schema.text) if found is None else found.schema_id
