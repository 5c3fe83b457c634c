"""Schemas are found, fingerprinted as the specification says, and refused by name where they are broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sink.avro.schemas import columns_of, known_schemas, parse, shipped_schema
from sink.avro.writers import SchemaResolver
from sink.datasets import DATASETS
from sink.errors import BadMessage, DefinitionError
from tests.unit.avro.material import SCHEMAS, decimals, millis


@pytest.mark.parametrize(
    ("text", "expected"),
    [('"null"', "63dd24e7cc258f8a"), ('"int"', "7275d51a3f395c8f"), ('{"type": "string"}', "8f014872634503c7")],
)
def test_fingerprints_are_those_of_the_specification_little_endian(text: str, expected: str) -> None:
    assert parse(text).fingerprint == bytes.fromhex(expected)[::-1]


def test_every_dataset_has_a_known_schema() -> None:
    assert {schema.name for schema in known_schemas()} == {dataset.record for dataset in DATASETS.values()}


def test_older_versions_below_the_folder_are_known(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "trades-1.avsc").write_text('"int"')
    assert [schema.text for schema in known_schemas(tmp_path)] == ['"int"']


@pytest.mark.parametrize("text", ["{", "[", '{"type": "record"}', '"market.Nothing"', "[" * 100_000])
def test_a_broken_schema_is_a_definition_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "trades.avsc").write_text(text)
    with pytest.raises(DefinitionError, match=r"trades\.avsc"):
        shipped_schema("trades", tmp_path)


def test_a_missing_schema_is_a_definition_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"trades\.avsc"):
        shipped_schema("trades", tmp_path)


def test_a_field_without_a_column_type_is_named() -> None:
    odd = SCHEMAS["trades"].json | {"fields": [{"name": "price", "type": "double"}]}
    with pytest.raises(DefinitionError, match=r"market\.Trade\.price"):
        columns_of(parse(json.dumps(odd)))


@pytest.mark.parametrize("change", [millis, decimals(20, 8)])
def test_two_schemas_that_a_fingerprint_cannot_tell_apart_are_refused(change: object) -> None:
    assert callable(change)
    twin = parse(json.dumps(change(SCHEMAS["trades"].json)))
    assert twin.fingerprint == SCHEMAS["trades"].fingerprint
    with pytest.raises(DefinitionError, match="logical types"):
        SchemaResolver(None, [SCHEMAS["trades"], twin])


def test_an_unknown_fingerprint_and_an_id_without_registry_are_unknown_schemas() -> None:
    resolver = SchemaResolver(None, [SCHEMAS["trades"]])
    assert resolver.schema_of(b"\xc3\x01" + SCHEMAS["trades"].fingerprint) == SCHEMAS["trades"].json
    for header in (b"\xc3\x01" + bytes(8), b"\0\0\0\0\1"):
        with pytest.raises(BadMessage) as caught:
            resolver.schema_of(header)
        assert caught.value.reason == "unknown_schema"
