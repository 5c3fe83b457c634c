"""Kept messages in a real database: which are meant, and what a retry does to them and to the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sink.batch import Messages
from sink.datasets import DATASETS
from sink.db import quarantined
from sink.db.connect import open_connection
from sink.db.contents import reading
from sink.db.quarantined import Edge, Place, Wanted
from sink.errors import OversizeError, TransientError
from sink.ledger import replay_of
from sink.quarantine.retry import Retrier, batch_of, rehearse
from sink.replaying.flushers import Rehearsal
from tests import build
from tests.build import NOON, TOPIC, Told
from tests.fix_database import plain_engine, temporary_database
from tests.flushing import SOURCE, claimed, flusher_of, rows_of, trades
from tests.triggers import raising

STATES = 'SELECT partition, "offset", reason, replayed_at IS NOT NULL FROM sink.quarantine ORDER BY 1, 2'
ALL = frozenset({"open", "replayed", "dropped"})


def kept(partition: int, *offsets: int) -> list[Told]:
    """Give messages that cannot be decoded."""
    return [Told(partition=partition, offset=offset, trade_id=None) for offset in offsets]


def flush(url: str, told: Sequence[Told]) -> None:
    """Have the sink write messages."""
    flusher = flusher_of(url)
    batch = build.batch(told)
    claims = {partition: claimed(flusher, partition) for partition in batch.spans}
    for partition, span in batch.spans.items():
        flusher.move({partition: span.base}, reason="a test")
    flusher.flush(batch, claims)
    flusher.close()


@pytest.fixture
def retrier(writer_url: str) -> Iterator[Retrier]:
    made = Retrier(
        dataset=DATASETS["trades"],
        source=SOURCE,
        owner="me",
        connect=lambda: open_connection(writer_url, application_name="test"),
    )
    yield made
    made.close()


def test_what_passes_becomes_a_row_with_its_own_lineage_and_is_marked(
    retrier: Retrier, writer_url: str, engine: Engine
) -> None:
    flush(writer_url, kept(0, 5, 7))
    everything = "SELECT * FROM sink.positions", "SELECT * FROM sink.flushes"
    before = [rows_of(engine, statement) for statement in everything]
    fixed = [Told(partition=0, offset=5, trade_id=1, price="3"), *kept(0, 7)]
    done = retrier.retry(build.batch(fixed), {"open"})
    assert (done.messages, done.written, done.refused) == (2, 1, {"decode": 1})
    assert trades(engine) == [(1, 3, 0, 5)]
    assert rows_of(engine, "SELECT observed_at FROM trades") == [(NOON,)]
    assert rows_of(engine, STATES) == [(0, 5, "decode", True), (0, 7, "decode", False)]
    assert [rows_of(engine, statement) for statement in everything] == before, "no position moved"
    again = retrier.retry(build.batch(fixed), {"open"})
    assert (again.gone, again.written, again.refused) == (1, 0, {"decode": 1})
    assert trades(engine) == [(1, 3, 0, 5)]


def test_a_row_that_came_later_stays(retrier: Retrier, writer_url: str, engine: Engine) -> None:
    later = NOON + timedelta(seconds=1)
    flush(writer_url, [*kept(0, 5, 6), Told(partition=0, offset=8, trade_id=1, price="9", at=later)])
    fixed = [Told(partition=0, offset=offset, trade_id=1, price="3") for offset in (5, 6)]
    done = retrier.retry(build.batch(fixed), {"open"})
    assert (done.written, done.not_newer, done.deduplicated) == (0, 1, 1)
    assert trades(engine) == [(1, 9, 0, 8)]
    assert [row[3] for row in rows_of(engine, STATES)] == [True, True], "what gave way has passed"


def test_what_the_database_refuses_stays_with_its_new_reason(retrier: Retrier, writer_url: str, engine: Engine) -> None:
    flush(writer_url, kept(0, 5, 6))
    fixed = [Told(partition=0, offset=5, trade_id=1, side="hold"), Told(partition=0, offset=6, trade_id=2)]
    done = retrier.retry(build.batch(fixed), {"open"})
    assert (done.written, done.refused) == (1, {"rejected": 1})
    assert rows_of(engine, STATES) == [(0, 5, "rejected", False), (0, 6, "decode", True)]
    assert rows_of(engine, 'SELECT sqlstate, value FROM sink.quarantine WHERE "offset" = 5') == [("23514", b"0/5")]


def test_what_somebody_dropped_meanwhile_is_left_alone_unless_it_is_meant(
    retrier: Retrier, writer_url: str, engine: Engine
) -> None:
    flush(writer_url, kept(0, 5))
    with reading(writer_url) as session:
        assert quarantined.drop(session, wanted(), reason="a test") == {"decode": 1}
    fixed = [Told(partition=0, offset=5, trade_id=1)]
    assert retrier.retry(build.batch(fixed), {"open"}).gone == 1
    assert trades(engine) == []
    assert retrier.retry(build.batch(fixed), {"open", "dropped"}).written == 1
    assert rows_of(engine, "SELECT drop_reason, replayed_at IS NOT NULL FROM sink.quarantine") == [("a test", True)]


def test_a_retry_that_fails_has_done_nothing(retrier: Retrier, writer_url: str, engine: Engine) -> None:
    """The row and the mark are one transaction: where the mark cannot be made, there is no row."""
    flush(writer_url, kept(0, 5))

    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raising('53100')} END $$")
        )
        connection.execute(
            text("CREATE TRIGGER fault BEFORE UPDATE ON sink.quarantine FOR EACH ROW EXECUTE FUNCTION fault()")
        )
    with pytest.raises(TransientError):
        retrier.retry(build.batch([Told(partition=0, offset=5, trade_id=1)]), {"open"})
    assert trades(engine) == []
    assert rows_of(engine, STATES) == [(0, 5, "decode", False)]


class Small(Retrier):
    """Can write one message at a time."""

    def _once(self, batch: Any, states: Any) -> Any:
        if batch.count > 1:
            raise OversizeError("too much at once")
        return super()._once(batch, states)


def test_too_much_at_once_is_halved(writer_url: str, engine: Engine) -> None:
    flush(writer_url, [*kept(0, 1, 2, 3), *kept(1, 4)])
    small = Small(
        dataset=DATASETS["trades"],
        source=SOURCE,
        owner="me",
        connect=lambda: open_connection(writer_url, application_name="test"),
    )
    fixed = [Told(partition=0, offset=offset, trade_id=offset) for offset in (1, 2, 3)]
    done = small.retry(build.batch([*fixed, *kept(1, 4)]), {"open"})
    small.close()
    assert (done.messages, done.written, done.refused) == (4, 3, {"decode": 1})
    assert [row[0] for row in trades(engine)] == [1, 2, 3]


def test_a_rehearsal_foretells_over_several_groups_and_writes_nothing(
    retrier: Retrier, writer_url: str, engine: Engine
) -> None:
    flush(writer_url, [*kept(0, 1, 2), Told(partition=0, offset=3, trade_id=3), *kept(0, 4), *kept(1, 5)])
    groups = [
        [Told(partition=0, offset=1, trade_id=1), Told(partition=0, offset=2, trade_id=3)],
        [Told(partition=0, offset=4, trade_id=1, price="2"), *kept(1, 5)],
    ]
    rehearsal = Rehearsal(
        dataset=DATASETS["trades"],
        source=replay_of(SOURCE, "rehearsal"),
        owner="me",
        connect=lambda: open_connection(writer_url, application_name="test"),
        samples=0,
    )
    for group in groups:
        rehearse(rehearsal, build.batch(group))
    rehearsal.close()
    seen = rehearsal.foreseen
    assert (seen.inserts, seen.updates, seen.counts["not_newer"], seen.reasons) == (1, 1, 1, {"decode": 1})
    assert [row[0] for row in trades(engine)] == [3]
    assert {row[3] for row in rows_of(engine, STATES)} == {False}
    done = [retrier.retry(build.batch(group), {"open"}) for group in groups]
    assert (sum(one.written for one in done), sum(one.not_newer for one in done)) == (2, 1)


class Echo:
    """A decoder that keeps what it was given."""

    def decode(self, messages: Messages) -> Any:
        self.messages = messages
        return build.decoded([])


def wanted(**changes: Any) -> Wanted:
    return replace(
        Wanted(sink_id=SOURCE.sink_id, topic=TOPIC, states=frozenset({"open"})),
        **changes,
    )


def test_a_kept_message_is_decoded_as_kafka_gave_it(writer_url: str, engine: Engine) -> None:
    flush(writer_url, kept(1, 4))
    with engine.begin() as connection:
        connection.execute(text("""UPDATE sink.quarantine SET headers = '[["trace", "AAE="], ["none", null]]'"""))
    with reading(writer_url) as session:
        whole = quarantined.kept(session, SOURCE.sink_id, TOPIC, [(1, 4), (9, 9)])
    echo = Echo()
    batch = batch_of(whole, TOPIC, echo, "record")
    got = echo.messages
    assert (list(got.partitions), list(got.offsets), list(got.values)) == ([1], [4], [b"1/4"])
    assert (list(got.keys), list(got.timestamps)) == ([b"BTCUSDT"], [build.micros(NOON)])
    assert list(got.headers) == [[("trace", b"\x00\x01"), ("none", None)]]
    assert {number: (span.base, span.end) for number, span in batch.spans.items()} == {1: (4, 5)}


@pytest.fixture(scope="module")
def filtered(server_database_url: str, template_database: str) -> Iterator[str]:
    """Give a database whose messages differ in everything that can be asked for; it is only read."""
    with temporary_database(server_database_url, template=template_database) as url:
        with plain_engine(url).begin() as connection:
            connection.execute(
                text(
                    'INSERT INTO sink.quarantine (sink_id, topic, partition, "offset", reason, error, schema_id, key,'
                    " value, kafka_at, quarantined_at, replayed_at, dropped_at)"
                    " SELECT 'sink.trades', 'market.trades', o % 2, o, CASE WHEN o < 4 THEN 'decode' ELSE 'magic' END,"
                    " 'an error', CASE WHEN o < 2 THEN '7' END, 'k', CASE WHEN o <> 5 THEN repeat('v', o)::bytea END,"
                    " timestamptz '2026-06-02 12:00Z' + o * interval '1 minute',"
                    " timestamptz '2026-06-03 12:00Z' + o * interval '1 hour',"
                    " CASE WHEN o IN (6, 7) THEN now() END, CASE WHEN o IN (7, 8) THEN now() END"
                    " FROM generate_series(0, 9) o"
                )
            )
            connection.execute(
                text(
                    'INSERT INTO sink.quarantine (sink_id, topic, partition, "offset", reason, error)'
                    " VALUES ('other.trades', 'market.trades', 0, 0, 'decode', '')"
                )
            )
        yield url.render_as_string(hide_password=False)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("changes", "offsets"),
    [
        ({}, [0, 2, 4, 1, 3, 5, 9]),
        ({"states": ALL}, [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]),
        ({"states": {"replayed"}}, [6, 7]),
        ({"states": {"dropped"}}, [8]),
        ({"reasons": {"decode"}}, [0, 2, 1, 3]),
        ({"schema_ids": {"7"}}, [0, 1]),
        ({"partitions": {1}}, [1, 3, 5, 9]),
        ({"places": {(0, 4), (1, 4), (1, 7)}}, [4]),
        ({"start": Edge(offsets={1: 3})}, [3, 5, 9]),
        ({"start": Edge(offsets={1: 3}, moment=at(2))}, [2, 4, 3, 5, 9]),
        ({"end": Edge(offsets={1: 3})}, [0, 2, 4, 1]),
        ({"start": Edge(moment=at(2)), "end": Edge(moment=at(4))}, [2, 3]),
        ({"since": datetime(2026, 6, 3, 14, tzinfo=UTC)}, [2, 4, 3, 5, 9]),
        ({"until": datetime(2026, 6, 3, 14, tzinfo=UTC)}, [0, 1]),
    ],
)
def test_filters_name_what_is_meant(filtered: str, changes: dict[str, Any], offsets: list[int]) -> None:
    with reading(filtered) as session:
        found = quarantined.entries(session, wanted(**changes), limit=100)
    assert [entry.offset for entry in found] == offsets


def test_pages_follow_each_other(filtered: str) -> None:
    after: Place | None = None
    seen: list[int] = []
    with reading(filtered) as session:
        while page := quarantined.entries(session, wanted(states=ALL), limit=3, after=after):
            seen += [entry.offset for entry in page]
            after = page[-1].place
    assert seen == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


def test_counts_are_by_reason_and_schema(filtered: str) -> None:
    with reading(filtered) as session:
        found = quarantined.counts(session, wanted(states=ALL))
    assert [(one.reason, one.schema_id, dict(one.states), one.size) for one in found] == [
        ("magic", None, {"open": 3, "replayed": 2, "dropped": 1}, 6 + 4 + 6 + 7 + 8 + 9),
        ("decode", "7", {"open": 2, "replayed": 0, "dropped": 0}, 2 + 1),
        ("decode", None, {"open": 2, "replayed": 0, "dropped": 0}, 2 + 2 + 3),
    ]
