"""A writer's records laid out flat for the columnar reader, for bodies whose unions all took the same branches.

Polars' Avro reader takes any number as a union's branch, reads every boolean byte but 1 as false, and panics on enums
it does not like. So nothing of that is left to it: unions become their branch number followed by the branch's own
fields, booleans become one raw byte, enums their number, and the frame is checked afterwards, row by row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sink.avro.decode import DTYPES
from sink.avro.nodes import Node
from sink.avro.resolve import MAX_TIME, MIN_TIME, Resolution, Source
from sink.avro.schemas import LIMIT, PRECISION, SCALE, Column, Kind
from sink.avro.wire import Shape

OK = "ok"
"""Name of the flag beside the columns: whether a row may be taken, or is one for the reference decoder."""

TAG = "tag"
_I128_BYTES = 16
_SKIPPED = {"int": "long", "long": "long", "enum": "long", "bytes": "bytes", "string": "bytes", "double": "double"}
_SYNC = b"sink.avro.layout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """An Avro container file that lacks only its rows: its header, and the names of the fields to read."""

    head: bytes
    names: list[str]

    def file(self, rows: int, joined: bytes) -> bytes:
        """Make the file of joined values (header, body and tag of each)."""
        return b"".join((self.head, _zigzag(rows), _zigzag(len(joined)), joined, _SYNC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the bodies of one writer and one shape are read at once; ``select`` makes the columns and :data:`OK`."""

    container: Container
    select: list[pl.Expr]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """How the shapes of many bodies are found at once; ``null_branches`` are those of the fields that are read."""

    container: Container
    null_branches: tuple[int, ...]


def layout_of(node: Node, resolution: Resolution, header_size: int, shape: Shape) -> Layout | None:
    """Lay out a writer's records; None where the columnar reader cannot take them (arrays, maps, wide decimals)."""
    flat = _Flat(branches=iter(shape))
    leaves = [flat.add(child, _scale_of(position, resolution)) for position, child in enumerate(node.children)]
    select: list[pl.Expr] = []
    for column, source in resolution.sources:
        leaf = None if source is None else leaves[source.position]
        if leaf is None and not column.nullable:
            return None
        select.append(_column(column, source, leaf, flat).alias(column.name))
    if not flat.possible:
        return None
    select.append((pl.all_horizontal(flat.checks) if flat.checks else pl.lit(value=True)).alias(OK))
    names = [entry["name"] for entry in flat.fields]
    return Layout(container=_container(flat.fields, names, header_size), select=select)


def outline_of(node: Node, header_size: int) -> Outline | None:
    """Outline a writer's records; None where a union is anything but a field that may be null."""
    flat = _Flat(branches=iter(()))
    names: list[str] = []
    null_branches: list[int] = []
    for child in node.children:
        if child.type == "union":
            kinds = [branch.type for branch in child.children]
            if sorted(kind == "null" for kind in kinds) != [False, True]:
                return None
            null_branches.append(kinds.index("null"))
            # The value is only skipped over, so it is read as what cannot fail: no text, no decimal.
            value = _SKIPPED.get(kinds[1 - null_branches[-1]])
            if value is None:
                return None
            names.append(flat.field(["null" if kind == "null" else value for kind in kinds]))
        elif child.has_union:
            return None
        else:
            flat.add(child, None)
    return Outline(container=_container(flat.fields, names, header_size), null_branches=tuple(null_branches))


def _container(fields: list[dict[str, Any]], names: list[str], header_size: int) -> Container:
    # The values' own headers stay where they are, as a field that is skipped: cutting them off would cost a copy each.
    header = {"name": "header", "type": _fixed("header", header_size)}
    return Container(head=_head([header, *fields, {"name": TAG, "type": "double"}]), names=[*names, TAG])


@dataclass(slots=True, kw_only=True)
class _Flat:
    """Fields and checks gathered while a record is laid out along one shape."""

    branches: Iterator[int]
    fields: list[dict[str, Any]] = field(default_factory=list)
    checks: list[pl.Expr] = field(default_factory=list)
    possible: bool = True

    def add(self, node: Node, scale: int | None) -> str | None:
        """Lay out one type; gives the name of the field that holds its value, None where that is null or several."""
        match node.type:
            case "null":
                return None
            case "union":
                branch = next(self.branches)
                self.checks.append(pl.col(self.field("long")) == branch)
                return self.add(node.children[branch], scale)
            case "record":
                for child in node.children:
                    self.add(child, None)
                return None
            case "array" | "map":
                self.possible = False
                return None
        return self._leaf(node, scale)

    def _leaf(self, node: Node, scale: int | None) -> str | None:
        decimal = {"logicalType": "decimal", "precision": PRECISION, "scale": scale}
        match node.type:
            case "int":
                return self.field("long")
            case "boolean":
                name = self.field(_fixed(f"boolean{len(self.fields)}", 1))
                self.checks.append((pl.col(name) == b"\0") | (pl.col(name) == b"\1"))
                return name
            case "enum":
                name = self.field("long")
                self.checks.append(pl.col(name).is_between(0, node.size - 1))
                return name
            case "fixed":
                if scale is not None:
                    self.possible &= 0 < node.size <= _I128_BYTES
                name = f"fixed{len(self.fields)}"
                return (
                    self.field(_fixed(name, node.size) | (decimal if scale is not None else {})) if node.size else None
                )
            case "bytes" if scale is not None:
                return self.field({"type": "bytes"} | decimal)
        return self.field(node.type)

    def field(self, type_: Any) -> str:
        """Add a field of the container; gives its name."""
        name = f"f{len(self.fields)}"
        self.fields.append({"name": name, "type": type_})
        return name


def _scale_of(position: int, resolution: Resolution) -> int | None:
    """Give the scale of the decimal column that a field fills, None where it fills none."""
    for column, source in resolution.sources:
        if source is not None and source.position == position and column.kind is Kind.AMOUNT:
            return source.scale
    return None


def _column(column: Column, source: Source | None, leaf: str | None, flat: _Flat) -> pl.Expr:
    if source is None or leaf is None:
        return pl.lit(None, dtype=DTYPES[column.kind])
    value = pl.col(leaf)
    match column.kind:
        case Kind.TEXT if source.symbols:
            return value.replace_strict(
                range(len(source.symbols)), source.symbols, default=None, return_dtype=pl.String()
            )
        case Kind.TEXT:
            flat.checks.append(~value.str.contains("\0", literal=True))
        case Kind.FLAG:
            return value == b"\1"
        case Kind.TIME:
            # Both bounds are whole multiples of a millisecond or just below one, so division rounds the right way.
            flat.checks.append(value.is_between(MIN_TIME // source.factor, MAX_TIME // source.factor))
            return (value * source.factor if source.factor > 1 else value).cast(DTYPES[Kind.TIME])
        case Kind.AMOUNT:
            return _amount(value, source.scale, flat)
    return value


def _amount(value: pl.Expr, scale: int, flat: _Flat) -> pl.Expr:
    if scale > SCALE:
        flat.possible = False
        return value
    largest = pl.lit(LIMIT // 10 ** (SCALE - scale) - 1, dtype=pl.Int128)
    flat.checks.append(value.to_physical().is_between(-largest, largest))
    return value if scale == SCALE else value.cast(DTYPES[Kind.AMOUNT], strict=False)


def _fixed(name: str, size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


def _head(fields: list[dict[str, Any]]) -> bytes:
    schema = json.dumps({"type": "record", "name": "row", "fields": fields}).encode()
    pairs = (b"avro.schema", schema, b"avro.codec", b"null")
    return b"Obj\1" + _zigzag(2) + b"".join(_zigzag(len(part)) + part for part in pairs) + _zigzag(0) + _SYNC


def _zigzag(number: int) -> bytes:
    """Write a number of zero or more as Avro does."""
    rest, out = number << 1, bytearray()
    while rest > 0x7F:  # noqa: PLR2004 (seven bits a byte)
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
