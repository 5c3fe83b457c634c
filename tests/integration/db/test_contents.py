"""Reading what stands in the tables, and what is said where that cannot be."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, make_url, text

from sink.db.contents import next_offsets, reading
from sink.errors import ConfigError, TransientError


def test_offsets_are_read_by_partition(database_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO sink.positions (sink_id, topic, partition, next_offset, claim_token, claim_seq, owner)"
                " VALUES ('sink.trades', 'market.trades', 1, 5, gen_random_uuid(), 0, '')"
            )
        )
    with reading(database_url) as session:
        assert next_offsets(session, sink_id="sink.trades", topic="market.trades") == {1: 5}


def test_a_server_that_is_not_there_is_named_with_its_cure() -> None:
    with (
        pytest.raises(TransientError, match=r"no database server answers at 127\.0\.0\.1:9; start it"),
        reading("postgresql+psycopg://sink_reader:x@127.0.0.1:9/none"),
    ):
        pass


def test_a_database_that_is_not_there_is_named_with_its_cure(server_database_url: str) -> None:
    absent = make_url(server_database_url).set(database="not_there").render_as_string(hide_password=False)
    with pytest.raises(ConfigError, match=r"there is no database not_there .* createdb"), reading(absent):
        pass
