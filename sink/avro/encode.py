"""Turns records into Avro bodies, exactly or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact
from typing import Any

import fastavro
from fastavro import schemaless_writer

from sink.avro.schemas import LIMIT, PRECISION, SCALE, Column, Kind, Schema, columns_of, without_logical_types
from sink.errors import BadMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT = Context(prec=1000, traps=[Inexact])
_BIG = range(-(2**63), 2**63)


class Encoder:
    """Encodes records of one shipped schema.

    A record maps field names to str, int, bool, Decimal and aware datetimes. ``encode`` gives the body without a
    header, and raises BadMessage, naming the field, for what the schema cannot hold exactly.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._columns = [(column, _CONVERT[column.kind]) for column in columns_of(schema)]
        self._names = frozenset(column.name for column, _ in self._columns)
        self._wire: Any = fastavro.parse_schema(without_logical_types(schema.json))

    def encode(self, record: Mapping[str, object]) -> bytes:
        """Encode one record; fields that it lacks are null."""
        unknown = record.keys() - self._names
        if unknown:
            raise BadMessage("decode", f"{self.schema.name} has no field {', '.join(sorted(unknown))}")
        wire: dict[str, object] = {}
        for column, convert in self._columns:
            value = record.get(column.name)
            if value is not None:
                wire[column.name] = convert(column, value)
            elif column.nullable:
                wire[column.name] = None
            else:
                raise BadMessage("null_key", f"{column.name} is missing")
        body = io.BytesIO()
        schemaless_writer(body, self._wire, wire)
        return body.getvalue()


def encode(schema: Schema, record: Mapping[str, object]) -> bytes:
    """Encode a single record; for many, keep an :class:`Encoder`."""
    return Encoder(schema).encode(record)


def _text(column: Column, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_type(column, value)
    if "\0" in value or not value.isprintable():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadMessage("text", f"{column.name} holds a lone surrogate") from None
        if "\0" in value:
            raise BadMessage("text", f"{column.name} holds a NUL character")
    return value


def _big(column: Column, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(column, value)
    if value not in _BIG:
        raise BadMessage("decode", f"{column.name} = {value} does not fit 64 bits")
    return value


def _flag(column: Column, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(column, value)
    return value


def _time(column: Column, value: object) -> int:
    if not isinstance(value, datetime):
        raise _wrong_type(column, value)
    if value.tzinfo is None:
        raise BadMessage("ts_range", f"{column.name} = {value.isoformat()} has no time zone")
    return (value - _EPOCH) // _MICROSECOND


def _amount(column: Column, value: object) -> bytes:
    if not isinstance(value, Decimal):
        raise _wrong_type(column, value)
    if not value.is_finite():
        raise BadMessage("non_finite", f"{column.name} = {value} is not a number")
    try:
        scaled = value.scaleb(SCALE, _EXACT)
    except Inexact:
        raise _does_not_fit(column, value) from None
    number = int(scaled) if scaled.adjusted() < PRECISION else LIMIT
    if not -LIMIT < number < LIMIT or number != scaled:
        raise _does_not_fit(column, value)
    return number.to_bytes((number + (number < 0)).bit_length() // 8 + 1, "big", signed=True)


def _does_not_fit(column: Column, value: Decimal) -> BadMessage:
    return BadMessage("decimal_range", f"{column.name} = {value} does not fit decimal({PRECISION}, {SCALE})")


def _wrong_type(column: Column, value: object) -> BadMessage:
    return BadMessage("decode", f"{column.name} cannot be a {type(value).__name__}; it is {column.kind.value}")


_CONVERT: dict[Kind, Callable[[Column, Any], object]] = {
    Kind.TEXT: _text,
    Kind.BIG: _big,
    Kind.FLAG: _flag,
    Kind.TIME: _time,
    Kind.AMOUNT: _amount,
}
