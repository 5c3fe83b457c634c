"""The shipped schemas and the models say the same."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, DateTime, Numeric, Text

from sink.avro.schemas import Kind, columns_of, known_schemas, shipped_schema
from sink.avro.writers import SchemaResolver
from sink.datasets import DATASETS

LINEAGE = {"created_at", "observed_at", "source_partition", "source_offset"}
KINDS = {Text: Kind.TEXT, BigInteger: Kind.BIG, Boolean: Kind.FLAG, DateTime: Kind.TIME, Numeric: Kind.AMOUNT}


def model_columns(name: str) -> list[tuple[str, Kind, bool]]:
    table = DATASETS[name].model.__table__
    return [
        (column.name, KINDS[type(column.type)], bool(column.nullable))
        for column in table.columns
        if column.name not in LINEAGE
    ]


@pytest.mark.parametrize("name", DATASETS)
def test_fields_are_the_columns_and_then_observed_at(name: str) -> None:
    fields = [(column.name, column.kind, column.nullable) for column in columns_of(shipped_schema(name))]
    assert fields == [*model_columns(name), ("observed_at", Kind.TIME, True)]


@pytest.mark.parametrize("name", DATASETS)
def test_the_record_has_the_agreed_name(name: str) -> None:
    assert shipped_schema(name).name == DATASETS[name].record


@pytest.mark.parametrize("name", DATASETS)
def test_record_and_fields_are_explained_and_optional_fields_default_to_null(name: str) -> None:
    schema: Any = shipped_schema(name).json
    assert schema["doc"]
    for field in schema["fields"]:
        assert field["doc"], field["name"]
        if isinstance(field["type"], list):
            assert field["type"][0] == "null", field["name"]
            assert field["default"] is None, field["name"]


def test_no_two_shipped_schemas_share_a_fingerprint_and_mean_different_bytes() -> None:
    SchemaResolver(None, known_schemas())
