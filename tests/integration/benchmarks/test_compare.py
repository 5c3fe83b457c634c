"""The comparison that decides whether a figure counts, on a real table."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from benchmarks.compare import difference
from benchmarks.generator import Generated, flushed, generate
from benchmarks.plan import Bulk
from benchmarks.watch import Watch
from sink.db.copy import copy_into, encoded

WORKLOAD = Bulk(name="small", title="a few rows", rows=500)


@pytest.fixture
def generated(tmp_path: Path) -> Generated:
    return generate(WORKLOAD, now=datetime.now(UTC), directory=tmp_path)


@pytest.fixture
def url(database_url: str, generated: Generated) -> str:
    plain = database_url.replace("+psycopg", "")
    frame = flushed(generated, "trades")
    with psycopg.connect(plain) as connection, connection.cursor() as cursor:
        copy_into(cursor, psycopg.sql.Identifier("trades"), frame.columns, encoded(frame))
    return plain


def test_the_same_rows_in_any_order_of_writing_are_the_same(url: str, generated: Generated) -> None:
    with psycopg.connect(url) as connection:
        assert difference(connection, "trades", generated) is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trades SET price = price + 0.000000000000000001 WHERE trade_id = 77",
        "UPDATE trades SET side = NULL WHERE trade_id = 77",
        "UPDATE trades SET is_buyer_maker = NOT is_buyer_maker WHERE trade_id = 77",
        "UPDATE trades SET trade_ts = trade_ts + interval '1 microsecond' WHERE trade_id = 77",
        "DELETE FROM trades WHERE trade_id = 77",
        "INSERT INTO trades SELECT symbol, trade_ts, -1, price, quantity, is_buyer_maker FROM trades LIMIT 1",
    ],
)
def test_any_difference_is_found_and_its_row_named(url: str, generated: Generated, change: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(change.encode())

        found = difference(connection, "trades", generated)

    assert found is not None
    assert "row " in found


def test_the_watch_sees_a_writer_and_whether_it_waits_for_its_client(url: str) -> None:
    looks: list[bool] = []
    with Watch(url, "trades", looks.append) as watch, psycopg.connect(url) as writer:
        watch._look()
        writer.execute("UPDATE trades SET quantity = 1 WHERE trade_id = 77")
        watch._look()  # inside its transaction, waiting for us
        watch._look()
        writer.commit()
        watch._look()

    assert looks == [False, True, True, False]
    assert watch.seen.last == 2
    assert watch.seen.busy_share == 0
    assert watch.seen.doing["client: idle in transaction"] == 2


def test_the_watch_sees_a_writer_that_finds_everything_there_but_no_reader(url: str) -> None:
    looks: list[bool] = []
    with Watch(url, "trades", looks.append) as watch, psycopg.connect(url) as client:
        client.execute("SELECT FROM trades")
        watch._look()
        client.execute("CREATE TEMP TABLE written AS SELECT 1")
        watch._look()

    assert looks == [False, True]
