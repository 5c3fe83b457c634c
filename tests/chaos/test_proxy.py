"""The proxy does what it says to a real server's COMMIT, so that the chaos it makes is the one it names."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import make_url

from sink.stack.processes import wait_until
from tests.chaos.proxy import Fate, Proxy

ENTRY = (
    "INSERT INTO sink.flushes (sink_id, topic, partition, from_offset, to_offset, claim_seq, owner, kind)"
    " VALUES ('s', 't', 0, 0, 1, 1, 'me', 'flush')"
)


@pytest.mark.parametrize(("fate", "durable"), [(Fate.ANSWER_LOST, 1), (Fate.REQUEST_LOST, 0)])
def test_a_commit_meets_its_fate(fate: Fate, durable: int, database_url: str) -> None:
    url = make_url(database_url)
    assert url.host is not None
    with Proxy((url.host, url.port or 5432)) as proxy:
        host, port = proxy.address
        through = url.set(drivername="postgresql", host=host, port=port).render_as_string(hide_password=False)
        proxy.give([fate])
        connection = psycopg.connect(through, autocommit=True)
        connection.execute("BEGIN")
        connection.execute("SELECT 1")
        connection.execute("COMMIT")  # of no flush: passes
        connection.execute("BEGIN")
        connection.execute(ENTRY)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("COMMIT")
        connection.close()
        assert proxy.met == 1

        with psycopg.connect(through, autocommit=True) as again:
            found = "SELECT count(*) FROM sink.flushes"
            assert wait_until(lambda: again.execute(found).fetchone() == (durable,), seconds=5)
            again.execute("BEGIN")
            again.execute(ENTRY)
            again.execute("COMMIT")  # fates are used up
            assert again.execute(found).fetchone() == (durable + 1,)
