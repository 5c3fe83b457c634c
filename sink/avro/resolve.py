"""Resolves a writer's schema against a dataset's: which field fills which column, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sink.avro.nodes import Node
from sink.avro.schemas import LIMIT, PRECISION, SCALE, Column, Kind
from sink.errors import BadMessage

MAX_SCALE = 77
"""Largest scale of a writer's decimal: no 256-bit number has more digits, and a hostile one would cost memory."""

_TIME_FACTORS = {"timestamp-micros": 1, "timestamp-millis": 1000}
MIN_TIME, MAX_TIME = -62_135_596_800_000_000, 253_402_300_799_999_999
"""First and last microsecond of the years 1 to 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The writer's field of one column: its position and how its values are stored.

    ``factor`` turns a time into microseconds; ``scale`` is a decimal's; ``symbols`` are an enum's.
    """

    position: int
    name: str
    factor: int = 1
    scale: int = SCALE
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a writer's record gives: per column its source or None, and the fields that no column takes."""

    sources: tuple[tuple[Column, Source | None], ...]
    unknown: tuple[str, ...]


def resolve(writer: Node, record: str, columns: Sequence[Column]) -> Resolution:
    """Match a writer's fields to columns, by name or by the column's aliases.

    Raises BadMessage (``wrong_record``) where the record has another name, lacks a required column or stores one in
    a type that cannot be turned into the column exactly: a decimal as string or double, a time without a unit.
    """
    if writer.type != "record" or writer.name != record:
        raise BadMessage(
            "wrong_record", f"the writer's schema is {writer.name or writer.type}, the topic's is {record}"
        )
    fields = {name: position for position, name in enumerate(writer.names)}
    sources: list[tuple[Column, Source | None]] = []
    for column in columns:
        name = next((name for name in (column.name, *column.aliases) if name in fields), None)
        if name is not None:
            sources.append((column, _source(writer, fields.pop(name), column)))
        elif column.nullable:
            sources.append((column, None))
        else:
            raise BadMessage("wrong_record", f"the writer's schema of {record} has no field {column.name}")
    return Resolution(sources=tuple(sources), unknown=tuple(fields))


def _source(writer: Node, position: int, column: Column) -> Source | None:
    name, node = writer.names[position], writer.children[position]
    branches = [branch for branch in _branches(node) if branch.type != "null"]
    if not branches:
        if column.nullable:
            return None
        raise BadMessage("wrong_record", f"the writer's field {name} is always null")
    sources = [_branch_source(branch, position, name, column) for branch in branches]
    if any(source is None or source != sources[0] for source in sources):
        types = ", ".join(f"{branch.logical or ''} {branch.type}".strip() for branch in branches)
        raise BadMessage("wrong_record", f"the writer's field {name} is {types}; {column.kind.value} is needed")
    return sources[0]


def _branches(node: Node) -> tuple[Node, ...]:
    return node.children if node.type == "union" else (node,)


def _branch_source(node: Node, position: int, name: str, column: Column) -> Source | None:
    """Give the source that one branch makes, or None where it cannot fill the column."""
    source = Source(position=position, name=name)
    match column.kind, node.type:
        case (Kind.TEXT, "string") | (Kind.BIG, "int" | "long") | (Kind.FLAG, "boolean"):
            return source if node.logical is None or column.kind is Kind.TEXT else None
        case (Kind.TEXT, "enum"):
            return Source(position=position, name=name, symbols=node.names)
        case (Kind.TIME, "long") if node.logical in _TIME_FACTORS:
            return Source(position=position, name=name, factor=_TIME_FACTORS[node.logical])
        case (Kind.AMOUNT, "bytes" | "fixed") if node.logical == "decimal" and 0 <= node.scale <= MAX_SCALE:
            return Source(position=position, name=name, scale=node.scale)
    return None


def converter(column: Column, source: Source) -> Callable[[Any], Any]:
    """Make the function from a raw value (logical types off) to the column's.

    Times become microseconds, decimals unscaled integers of scale 18. The function raises BadMessage.
    """
    match column.kind:
        case Kind.TEXT:
            return _text(column)
        case Kind.TIME:
            return _time(column, source.factor)
        case Kind.AMOUNT:
            return _amount(column, source.scale)
    return lambda raw: raw


def _text(column: Column) -> Callable[[str], str]:
    def convert(raw: str) -> str:
        if "\0" in raw:
            raise BadMessage("text", f"{column.name} holds a NUL character")
        return raw

    return convert


def _time(column: Column, factor: int) -> Callable[[int], int]:
    def convert(raw: int) -> int:
        if not MIN_TIME <= raw * factor <= MAX_TIME:
            raise BadMessage("ts_range", f"{column.name} lies outside the years 1 to 9999")
        return raw * factor

    return convert


def _amount(column: Column, scale: int) -> Callable[[bytes], int]:
    up, down = int(10 ** max(SCALE - scale, 0)), int(10 ** max(scale - SCALE, 0))

    def convert(raw: bytes) -> int:
        number, lost = divmod(int.from_bytes(raw, "big", signed=True) * up, down)
        if lost or not -LIMIT < number < LIMIT:
            raise BadMessage("decimal_range", f"{column.name} does not fit decimal({PRECISION}, {SCALE})")
        return number

    return convert
