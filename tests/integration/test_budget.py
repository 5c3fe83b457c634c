"""What a flush asks of the database: statements, round trips and bytes, counted rather than timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
import pytest
from sqlalchemy import Engine

from sink.datasets import DATASETS
from sink.db.connect import open_connection
from sink.flush import Flusher
from sink.ledger import Times
from tests.budget import exceeded
from tests.build import Told, batch
from tests.counting import Traffic, counted
from tests.flushing import SOURCE, claimed, trades

ROWS = 1_000


@dataclass(slots=True)
class Line:
    """A flusher and the one connection that it has."""

    flusher: Flusher
    connection: psycopg.Connection


@pytest.fixture
def line(writer_url: str) -> Iterator[Line]:
    connection = open_connection(writer_url, application_name="test")
    flusher = Flusher(dataset=DATASETS["trades"], source=SOURCE, owner="me", connect=lambda: connection)
    yield Line(flusher, connection)
    flusher.close()


def told(offset: int, *, first_id: int, price: str = "1") -> list[Told]:
    """Give rows of four partitions."""
    return [
        Told(partition=number % 4, offset=offset + number // 4, trade_id=first_id + number, price=price)
        for number in range(ROWS)
    ]


def measured(traffic: Traffic) -> dict[str, float]:
    return {
        "statements": traffic.statements,
        "round_trips": traffic.round_trips,
        "bytes_sent_per_row": round(traffic.bytes_sent / ROWS, 1),
        "bytes_received": traffic.bytes_received,
    }


def test_a_flush_asks_no_more_of_the_database_than_its_budget_says(line: Line, engine: Engine) -> None:
    claims = {number: claimed(line.flusher, number, initial=dict.fromkeys(range(4), 0)) for number in range(4)}

    def flush(rows: Sequence[Told], *, written: int = ROWS) -> Traffic:
        given = batch(rows)
        with counted(line.connection) as traffic:
            done = line.flusher.flush(given, claims, line.flusher.prepare(given), times=Times(filled=0.2, waited=0.1))
        assert sum(entry.rows_written for entry in done.entries) == written
        return traffic

    step = ROWS // 4
    flush(told(0, first_id=0))  # the ledger's row is there from now on, and the database's clock is known
    new = flush(told(step, first_id=ROWS))
    flush(told(2 * step, first_id=0, price="2"))  # the fast path finds a key that is there, and is left
    updated = flush(told(3 * step, first_id=0, price="3"))
    for number in range(4):
        claims[number] = claimed(line.flusher, number, committed=2 * step)
    flush(told(2 * step, first_id=0, price="2"), written=0)  # finds by the upsert that all is there
    known = flush(told(3 * step, first_id=0, price="3"), written=0)

    found = exceeded("flush_of_new_rows", measured(new)) + exceeded("flush_of_updates", measured(updated))
    found += exceeded("flush_of_known_rows", measured(known))
    assert not found, "\n".join(found)
    prices = {row[0]: row[1] for row in trades(engine)}
    assert len(prices) == 2 * ROWS
    assert prices[0] == 3, "the counted flushes did their work"
