"""From a message's header to its writer's schema, checked and resolved once when it is first seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import fastavro
import structlog

from sink.avro.framing import header_of, label_of, schema_id_of
from sink.avro.nodes import Node, tree_of
from sink.avro.resolve import Resolution, resolve
from sink.avro.schemas import Column, Schema, columns_of, without_logical_types
from sink.avro.wire import Shape, walker
from sink.batch import BadRow, Messages
from sink.errors import BadMessage, DefinitionError

_log = structlog.get_logger(__name__)


class SchemaSource(Protocol):
    """Where schemas are found by the registry's id."""

    def schema_by_id(self, schema_id: int) -> Any:
        """Give the JSON form; raises BadMessage (``unknown_schema``), TransientError or DefinitionError."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Writer:
    """One writer's schema made ready for a dataset; ``label`` is the registry's id or the fingerprint."""

    label: str
    header: bytes
    node: Node
    resolution: Resolution
    walk: Callable[[bytes, int], Shape]
    wire: Any
    """fastavro's parsed form without logical types."""


class SchemaResolver:
    """Finds the schema that a header names: an id in the registry, a fingerprint among the known schemas."""

    def __init__(self, registry: SchemaSource | None, known: Sequence[Schema]) -> None:
        self._registry = registry
        self._known: dict[bytes, Schema] = {}
        for schema in known:
            twin = self._known.setdefault(schema.fingerprint, schema)
            if _meaning(twin.json) != _meaning(schema.json):
                # A fingerprint leaves logical types out: micros and millis, or two scales, look the same.
                raise DefinitionError(
                    f"two schemas of {schema.name} differ only in logical types, which the fingerprint "
                    f"{schema.fingerprint.hex()} leaves out; keep one of them in schemas/"
                )

    def schema_of(self, header: bytes) -> Any:
        """Give a schema's JSON form; raises BadMessage (``unknown_schema``), TransientError or DefinitionError."""
        schema_id = schema_id_of(header)
        if schema_id is None:
            known = self._known.get(header[2:])
            if known is None:
                raise BadMessage("unknown_schema", f"no schema with fingerprint {label_of(header)} is in schemas/")
            return known.json
        if self._registry is None:
            raise BadMessage("unknown_schema", f"schema id {schema_id} needs a registry; set SINK_REGISTRY__URL")
        return self._registry.schema_by_id(schema_id)


def _meaning(node: Any) -> Any:
    """Copy a schema's JSON form without what does not change how its bytes are read."""
    if isinstance(node, list):
        return [_meaning(branch) for branch in node]
    if isinstance(node, dict):
        return {key: _meaning(value) for key, value in node.items() if key not in {"doc", "default", "aliases"}}
    return node


class Intake:
    """Sorts messages by writer: one dataset's record, its columns and the writers seen so far."""

    def __init__(self, *, schema: Schema, resolver: SchemaResolver, max_value_bytes: int) -> None:
        self.columns: list[Column] = columns_of(schema)
        self._record = schema.name
        self._resolver = resolver
        self._max_value_bytes = max_value_bytes
        self._writers: dict[bytes, Writer | BadMessage] = {}

    def sort(self, messages: Messages) -> tuple[list[tuple[Writer, Sequence[int]]], list[BadRow]]:
        """Give each writer with the indices of its messages, and the messages that have none."""
        groups, bad = self._by_header(messages.values)
        sorted_groups: list[tuple[Writer, Sequence[int]]] = []
        for header, indices in groups.items():
            try:
                sorted_groups.append((self._writer(header), indices))
            except BadMessage as error:
                bad += [bad_row(index, error, label_of(header)) for index in indices]
        return sorted_groups, bad

    def _by_header(self, values: Sequence[bytes | None]) -> tuple[dict[bytes, Sequence[int]], list[BadRow]]:
        common = self._common_header(values)
        if common is not None:
            return {common: range(len(values))}, []
        groups: dict[bytes, list[int]] = {}
        bad: list[BadRow] = []
        for index, value in enumerate(values):
            try:
                groups.setdefault(self._header(value), []).append(index)
            except BadMessage as error:
                bad.append(bad_row(index, error, None))
        return dict(groups), bad

    def _common_header(self, values: Sequence[bytes | None]) -> bytes | None:
        """Give the header of all values, None where they differ or any of them is bad.

        This is the usual case, and several times as fast as looking at each value by itself.
        """
        try:
            header = self._header(values[0] if values else None)
        except BadMessage:
            return None
        present = list(filter(None, values))
        sizes = list(map(len, present))
        size = len(header)
        if len(present) < len(values) or min(sizes) <= size or max(sizes) > self._max_value_bytes:
            return None
        return header if [value[:size] for value in present].count(header) == len(present) else None

    def _header(self, value: bytes | None) -> bytes:
        if value is None:
            raise BadMessage("null_value", "the message has no value")
        if len(value) > self._max_value_bytes:
            raise BadMessage("too_large", f"{len(value)} bytes; the limit is {self._max_value_bytes}")
        return header_of(value)

    def _writer(self, header: bytes) -> Writer:
        writer = self._writers.get(header)
        if writer is None:
            schema = self._resolver.schema_of(header)
            try:
                writer = self._prepare(header, schema)
            except BadMessage as error:
                writer = error
            self._writers[header] = writer
        if isinstance(writer, BadMessage):
            raise writer
        return writer

    def _prepare(self, header: bytes, schema: Any) -> Writer:
        node = tree_of(schema)
        resolution = resolve(node, self._record, self.columns)
        if resolution.unknown:
            _log.info("writer_has_unknown_fields", schema=label_of(header), fields=resolution.unknown)
        try:
            wire = fastavro.parse_schema(without_logical_types(schema))
        except Exception as error:
            raise BadMessage("wrong_record", f"the writer's schema is no valid Avro schema: {error}") from error
        return Writer(
            label=label_of(header), header=header, node=node, resolution=resolution, walk=walker(node), wire=wire
        )


def bad_row(index: int, error: BadMessage, schema_id: str | None) -> BadRow:
    """Make the bad row of a message from what is wrong with it."""
    return BadRow(index=index, reason=error.reason, error=str(error), schema_id=schema_id)
