"""The reference decoder: fastavro, one message after the other; it alone says which messages are bad."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from typing import Any, Protocol

import polars as pl
from fastavro import schemaless_reader

from sink.avro.resolve import converter
from sink.avro.schemas import PRECISION, SCALE, Column, Kind, Schema
from sink.avro.writers import Intake, SchemaResolver, Writer, bad_row
from sink.batch import MESSAGE, BadRow, Decoded, Messages
from sink.errors import BadMessage

MAX_VALUE_BYTES = 1_048_576

DTYPES: dict[Kind, pl.DataType] = {
    Kind.TEXT: pl.String(),
    Kind.BIG: pl.Int64(),
    Kind.FLAG: pl.Boolean(),
    Kind.TIME: pl.Datetime("us", "UTC"),
    Kind.AMOUNT: pl.Decimal(PRECISION, SCALE),
}

_EXACT = Context(prec=PRECISION)


class Decoder(Protocol):
    """Makes columns of messages; both decoders give the same for the same messages."""

    def decode(self, messages: Messages) -> Decoded:
        """Decode messages of one topic, in their order.

        Raises TransientError while the registry cannot be asked for a schema not seen before, DefinitionError where
        it refuses us; the same call may then be made again. Nothing in a message makes it raise.
        """


class ReferenceDecoder:
    """Decodes one message after the other.

    ``schema`` is the dataset's, ``key`` names the columns of its primary key, ``max_value_bytes`` is the largest
    value that is looked at.
    """

    def __init__(
        self,
        *,
        schema: Schema,
        key: Iterable[str],
        resolver: SchemaResolver,
        max_value_bytes: int = MAX_VALUE_BYTES,
    ) -> None:
        self._intake = Intake(schema=schema, resolver=resolver, max_value_bytes=max_value_bytes)
        self._one_by_one = OneByOne(columns=self._intake.columns, key=frozenset(key))

    def decode(self, messages: Messages) -> Decoded:
        """Decode messages of one topic, in their order."""
        groups, bad = self._intake.sort(messages)
        frames = []
        unknown = 0
        for writer, indices in groups:
            frame, refused = self._one_by_one.decode(writer, messages.values, indices)
            frames.append(frame)
            bad += refused
            unknown += frame.height * len(writer.resolution.unknown)
        return assemble(self._intake.columns, frames, bad, frozenset(writer.label for writer, _ in groups), unknown)


class OneByOne:
    """Decodes messages of one writer with fastavro and makes a frame of the good ones."""

    def __init__(self, *, columns: Sequence[Column], key: frozenset[str]) -> None:
        self._columns = columns
        self._key = key

    def decode(
        self, writer: Writer, values: Sequence[bytes | None], indices: Sequence[int]
    ) -> tuple[pl.DataFrame, list[BadRow]]:
        """Decode the messages at these indices; gives the frame of the good ones and the bad ones."""
        read = self._reader(writer)
        good: list[int] = []
        rows: list[tuple[Any, ...]] = []
        bad: list[BadRow] = []
        for index in indices:
            try:
                rows.append(read(values[index] or b""))
                good.append(index)
            except BadMessage as error:
                bad.append(bad_row(index, error, writer.label))
            except Exception as error:  # noqa: BLE001 (bytes of others can fail in any way; none may stop the sink)
                broken = BadMessage("decode", f"{type(error).__name__}: {error}")
                bad.append(bad_row(index, broken, writer.label))
        return self._frame(good, rows), bad

    def _reader(self, writer: Writer) -> Callable[[bytes], tuple[Any, ...]]:
        start = len(writer.header)
        plan = [
            (column, source.name if source else None, converter(column, source) if source else None)
            for column, source in writer.resolution.sources
        ]

        def read(value: bytes) -> tuple[Any, ...]:
            writer.walk(value, start)
            body = io.BytesIO(value)
            body.seek(start)
            try:
                record: Any = schemaless_reader(body, writer.wire, None)
            except UnicodeDecodeError as error:
                raise _bad_text(error) from error
            row = []
            for column, name, convert in plan:
                raw = record[name] if name is not None else None
                if raw is not None and convert is not None:
                    row.append(convert(raw))
                elif column.nullable:
                    row.append(None)
                else:
                    raise BadMessage("null_key" if column.name in self._key else "decode", f"{column.name} is null")
            return tuple(row)

        return read

    def _frame(self, indices: list[int], rows: list[tuple[Any, ...]]) -> pl.DataFrame:
        data = {MESSAGE: pl.Series(MESSAGE, indices, dtype=pl.UInt32)}
        for position, column in enumerate(self._columns):
            data[column.name] = _series(column, [row[position] for row in rows])
        return pl.DataFrame(data)


def _series(column: Column, values: list[Any]) -> pl.Series:
    if column.kind is Kind.AMOUNT:
        values = [None if value is None else Decimal(value).scaleb(-SCALE, _EXACT) for value in values]
    if column.kind is Kind.TIME:
        return pl.Series(column.name, values, dtype=pl.Int64).cast(DTYPES[Kind.TIME])
    return pl.Series(column.name, values, dtype=DTYPES[column.kind], strict=True)


def _bad_text(error: UnicodeDecodeError) -> BadMessage:
    try:
        error.object.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return BadMessage("decode", "a string is not UTF-8")
    return BadMessage("text", "a string holds a lone surrogate")


def assemble(
    columns: Sequence[Column], frames: Sequence[pl.DataFrame], bad: list[BadRow], labels: frozenset[str], unknown: int
) -> Decoded:
    """Put the frames of several writers together, in the order of the messages."""
    filled = [frame for frame in frames if frame.height]
    if not filled:
        schema = {MESSAGE: pl.UInt32(), **{column.name: DTYPES[column.kind] for column in columns}}
        frame = pl.DataFrame(schema=schema)
    else:
        frame = pl.concat(filled)
        if not frame[MESSAGE].is_sorted():
            frame = frame.sort(MESSAGE)
    return Decoded(frame=frame, bad=sorted(bad, key=lambda row: row.index), schema_ids=labels, unknown_fields=unknown)
