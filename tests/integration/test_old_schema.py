"""What this version does with a database that `sink migrate` has not brought to its revision yet."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url, text

from sink.errors import DefinitionError
from sink.inspection.status_asked import AskedDatabase
from tests.fix_database import migrate, plain_engine
from tests.flushing import SOURCE, flusher_of

WITHOUT_TIMES = "0002"
LEDGER = """
INSERT INTO sink.positions (sink_id, topic, partition, next_offset, claim_token, claim_seq, owner)
VALUES (:sink_id, :topic, 0, 9, gen_random_uuid(), 1, 'somebody');
INSERT INTO sink.flushes (sink_id, topic, partition, from_offset, to_offset, claim_seq, owner, kind, messages)
VALUES (:sink_id, :topic, 0, 0, 9, 1, 'somebody', 'flush', 9)
"""


@pytest.fixture
def old_url(empty_database_url: str) -> str:
    migrate(make_url(empty_database_url), WITHOUT_TIMES)
    with plain_engine(empty_database_url).begin() as connection:
        for statement in LEDGER.split(";"):
            connection.execute(text(statement), {"sink_id": SOURCE.sink_id, "topic": SOURCE.topic})
    return empty_database_url


def test_a_status_shows_all_but_where_the_time_went(old_url: str) -> None:
    table = AskedDatabase(old_url, {"trades": SOURCE}, timeout=10).look()["trades"]
    (entry,) = table.progress.entries
    assert (entry.messages, entry.flushes, entry.written_seconds) == (9, None, None)


def test_an_operators_move_is_refused_with_what_to_run(old_url: str) -> None:
    flusher = flusher_of(old_url)
    with pytest.raises(DefinitionError, match="sink migrate"):
        flusher.move({0: 3})
    assert flusher.positions()[0].next_offset == 9, "nothing half done"
    flusher.close()
