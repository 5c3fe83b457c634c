"""The rows of a benchmark: what is sent and what must stand in the table belong together."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks import sizing
from benchmarks.generator import Encoder, flushed, generate, rows_of
from benchmarks.plan import Bulk, workloads
from sink.avro.columns import decoder_of
from sink.avro.schemas import shipped_schema
from sink.batch import Messages
from sink.datasets import DATASETS

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
ROWS = 3_000


class Shelf:
    """A registry that has one schema."""

    def __init__(self, dataset: str) -> None:
        self._schema = shipped_schema(dataset).json

    def schema_by_id(self, schema_id: int) -> object:
        assert schema_id == 7
        return self._schema


def bulk(name: str) -> Bulk:
    workload = {**workloads(ROWS), **{one.name: one for one in sizing.workloads(ROWS)}}[name]
    assert isinstance(workload, Bulk)
    return workload


@pytest.mark.parametrize("name", ["load", "candles", "oi_snapshots", "funding"])
def test_the_messages_say_what_must_stand_in_the_table(name: str, tmp_path: Path) -> None:
    workload = bulk(name)
    made = generate(workload, now=NOW, directory=tmp_path)
    dataset = DATASETS[workload.dataset]
    encode = Encoder(dataset.name, 7).encode
    values = [encode(row) for row in rows_of(made.sent)]
    none = [None] * ROWS
    messages = Messages(
        topic="t",
        partitions=made.sent["partition"].to_list(),
        offsets=range(ROWS),
        timestamps=[0] * ROWS,
        keys=none,
        values=values,
        headers=none,
    )

    decoded = decoder_of(dataset, registry=Shelf(dataset.name)).decode(messages)

    assert decoded.bad == []
    final: dict[tuple[Any, ...], tuple[str, ...]] = {}
    for row in decoded.frame.select(dataset.columns).iter_rows(named=True):
        final[tuple(row[column] for column in dataset.key)] = tuple(map(written, row.values()))
    expected = [tuple(line.split("\t")) for line in made.expected.read_text().splitlines()]
    assert [final[key] for key in sorted(final)] == expected
    assert len(expected) == made.keys


def written(value: object) -> str:
    match value:
        case None:
            return "\\N"
        case bool():
            return "t" if value else "f"
        case datetime():
            return str(round(value.timestamp() * 1_000_000))
        case Decimal():
            return f"{value:.18f}"
        case _:
            return str(value)


def test_an_updating_workload_sends_each_key_as_often_as_it_says(tmp_path: Path) -> None:
    made = generate(bulk("candles"), now=NOW, directory=tmp_path)

    assert ROWS / 20 <= made.keys < ROWS / 20 + 64


def test_a_workload_uses_every_partition(tmp_path: Path) -> None:
    made = generate(bulk("partitions-64"), now=NOW, directory=tmp_path)

    assert sorted(made.sent["partition"].unique()) == list(range(64))


def test_the_limit_copies_the_columns_that_a_flush_writes(tmp_path: Path) -> None:
    made = generate(bulk("load"), now=NOW, directory=tmp_path)

    frame = flushed(made, "trades")

    assert frame.select("price").row(1) == (Decimal(made.sent["price"][1]) / 10**8,)
    offsets = frame.filter(frame["source_partition"] == 1)["source_offset"].to_list()
    assert offsets == list(range(len(offsets)))
    assert len(offsets) > ROWS / 5
