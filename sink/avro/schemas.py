"""Avro schemas: reading the shipped ones, their fields as columns, their fingerprints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form

from sink.errors import DefinitionError
from sink.resources import resource_directory

PRECISION, SCALE = 38, 18
LIMIT = 10**PRECISION
"""First unscaled value that a decimal(38, 18) cannot hold."""
SUFFIX = ".avsc"


class Kind(Enum):
    """What a column holds; every field of a shipped schema is one of these."""

    TEXT = "string"
    BIG = "long"
    FLAG = "boolean"
    TIME = "timestamp-micros"
    AMOUNT = "decimal(38, 18)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One field of a shipped schema, which is one column of its table; aliases are older names of the field."""

    name: str
    kind: Kind
    nullable: bool
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One Avro schema as its text, its JSON form and the CRC-64-AVRO fingerprint (8 bytes, little-endian)."""

    text: str
    json: Any
    fingerprint: bytes

    @property
    def name(self) -> str:
        """Full name of the record, for example ``market.Trade``; empty where the schema is no record."""
        return full_name(self.json) if isinstance(self.json, dict) else ""


def full_name(node: dict[str, Any], namespace: str = "") -> str:
    """Give the full name of a named type within an enclosing namespace."""
    name = str(node.get("name", ""))
    space = str(node.get("namespace", namespace) or "")
    return name if "." in name or not space else f"{space}.{name}"


def parse(text: str) -> Schema:
    """Read a schema; raises DefinitionError where the text is no Avro schema."""
    try:
        parsed = json.loads(text)
        canonical = to_parsing_canonical_form(fastavro.parse_schema(parsed))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SchemaParseException) as error:
        raise DefinitionError(f"not an Avro schema: {error}") from error
    return Schema(text=text, json=parsed, fingerprint=bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")))


def without_logical_types(node: Any) -> Any:
    """Copy a schema's JSON form without logical types, so that values are read and written as they lie in bytes."""
    if isinstance(node, list):
        return [without_logical_types(branch) for branch in node]
    if isinstance(node, dict):
        return {key: without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    return node


def shipped_schema(dataset: str, directory: Path | None = None) -> Schema:
    """Read the schema of a dataset from ``schemas/``; raises DefinitionError where it is missing or broken."""
    path = resource_directory("schemas", directory) / f"{dataset}{SUFFIX}"
    return _read(path)


def known_schemas(directory: Path | None = None) -> list[Schema]:
    """Read every schema at or below ``schemas/``: the current ones and older versions kept beside them."""
    return [_read(path) for path in sorted(resource_directory("schemas", directory).rglob(f"*{SUFFIX}"))]


def _read(path: Path) -> Schema:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"cannot read the schema {path}: {error.strerror}") from error
    except DefinitionError as error:
        raise DefinitionError(f"{path}: {error}") from error


def columns_of(schema: Schema) -> list[Column]:
    """Give the columns that a dataset's schema stands for, in order.

    Raises DefinitionError where a field has a type for which there is no column.
    """
    return [
        Column(
            name=field["name"],
            kind=_kind(field, schema.name),
            nullable=isinstance(field["type"], list),
            aliases=tuple(field.get("aliases", ())),
        )
        for field in schema.json["fields"]
    ]


def _kind(field: dict[str, Any], record: str) -> Kind:
    node = field["type"]
    if isinstance(node, list) and len(node) == 2 and node[0] == "null":  # noqa: PLR2004 (null and one type)
        node = node[1]
    match node:
        case "string":
            return Kind.TEXT
        case "long":
            return Kind.BIG
        case "boolean":
            return Kind.FLAG
        case {"type": "long", "logicalType": "timestamp-micros"}:
            return Kind.TIME
        case {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18}:
            return Kind.AMOUNT
    allowed = ", ".join(kind.value for kind in Kind)
    raise DefinitionError(f"{record}.{field['name']}: no column has the type {node!r}; use one of {allowed}")
