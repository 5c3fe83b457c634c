"""Flush and claim on a real database, as the writer: what is durable, what is refused, what the ledger says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from sink.datasets import DATASETS
from sink.db.connect import open_connection
from sink.errors import DefinitionError, OversizeError, TransientError
from sink.flush import Flusher
from sink.ledger import Times
from sink.transactions import Limits
from tests.build import NOON, Told, batch
from tests.fix_database import REPOSITORY
from tests.flushing import SOURCE, claimed, flusher_of, position, rows_of, trades


@pytest.fixture
def flusher(writer_url: str) -> Iterator[Flusher]:
    made = flusher_of(writer_url)
    yield made
    made.close()


def test_rows_and_position_become_durable_together(flusher: Flusher, engine: Engine) -> None:
    claim = claimed(flusher)

    done = flusher.flush(
        batch([Told(partition=0, offset=0, trade_id=7, price="1.5"), Told(partition=0, offset=2, trade_id=8)]),
        {0: claim},
    )

    assert trades(engine) == [(7, Decimal("1.5"), 0, 0), (8, Decimal(1), 0, 2)]
    assert done.durable == {0: 3}
    assert position(engine) == 3
    assert rows_of(
        engine, "SELECT from_offset, to_offset, messages, rows_written, kind, schema_ids FROM sink.flushes"
    ) == [(0, 3, 2, 2, "flush", ["1"])]


def test_the_same_flush_again_finds_itself_done(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    told = [Told(partition=0, offset=0, trade_id=7)]
    flusher.flush(batch(told), claims)
    before = rows_of(engine, "SELECT * FROM sink.flushes")

    again = flusher.flush(batch(told), claims)

    assert again.durable == {0: 1}
    assert again.entries == []
    assert rows_of(engine, "SELECT * FROM sink.flushes") == before


def test_only_what_is_not_durable_yet_is_written(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    flusher.flush(batch([Told(partition=0, offset=0, trade_id=1, price="1")]), claims)

    flusher.flush(
        batch(
            [Told(partition=0, offset=0, trade_id=9, price="9"), Told(partition=0, offset=1, trade_id=2, price="2")],
        ),
        claims,
    )

    assert [row[0] for row in trades(engine)] == [1, 2]
    assert position(engine) == 2


def test_what_was_prepared_is_worked_out_anew_where_part_of_it_is_durable(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    told = [Told(partition=0, offset=0, trade_id=1), Told(partition=0, offset=1, trade_id=2, price="2")]
    assert flusher.prepare(batch(told)) is None, "the database's clock is not known yet"
    flusher.flush(batch(told[:1]), claims)
    both = batch([Told(partition=0, offset=0, trade_id=9), *told[1:]])
    prepared = flusher.prepare(both)
    assert prepared is not None
    assert prepared.messages == {0: 2}

    done = flusher.flush(both, claims, prepared)

    assert [row[0] for row in trades(engine)] == [1, 2]
    assert done.entries[0].messages == 1


def test_what_was_prepared_is_written(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    flusher.flush(batch([Told(partition=0, offset=0, trade_id=1)]), claims)
    told = [
        Told(partition=0, offset=1, trade_id=2),
        Told(partition=0, offset=2, trade_id=2, price="2"),
        Told(partition=0, offset=3, trade_id=None),
        Told(partition=0, offset=4, trade_id=3, trade_ts=NOON + timedelta(days=36500)),
    ]
    made = batch(told)

    done = flusher.flush(made, claims, flusher.prepare(made))

    assert trades(engine)[1:] == [(2, Decimal(2), 0, 2)]
    assert done.reasons == {"decode": 1, "ts_range": 1}
    assert (done.entries[0].messages, done.entries[0].rows_deduplicated) == (4, 1)


def test_a_fenced_owner_writes_nothing(flusher: Flusher, writer_url: str, engine: Engine) -> None:
    stale = {0: claimed(flusher), 1: claimed(flusher, 1)}
    other = flusher_of(writer_url, "other")
    claimed(other)

    done = flusher.flush(
        batch([Told(partition=0, offset=0, trade_id=1), Told(partition=1, offset=0, trade_id=2)]), stale
    )

    assert done.fenced == {0: "other"}
    assert done.durable == {1: 1}
    assert [row[0] for row in trades(engine)] == [2]
    assert position(engine) == 0
    other.close()


def test_a_position_outside_the_batch_is_moved_not_written(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}

    done = flusher.flush(batch([Told(partition=0, offset=5, trade_id=1)]), claims)

    assert done.moved == {0: 0}
    assert trades(engine) == []


def test_fault_19_the_newest_version_wins_whatever_the_order(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    minute = timedelta(minutes=1)
    flusher.flush(batch([Told(partition=0, offset=0, trade_id=1, price="2", at=NOON + minute)]), claims)
    done = flusher.flush(batch([Told(partition=0, offset=1, trade_id=1, price="1", at=NOON)]), claims)

    assert trades(engine) == [(1, Decimal(2), 0, 0)]
    assert (done.entries[0].rows_written, done.entries[0].rows_not_newer) == (0, 1)

    flusher.flush(batch([Told(partition=0, offset=2, trade_id=1, price="3", at=NOON + minute)]), claims)
    assert trades(engine) == [(1, Decimal(3), 0, 2)]


def chunks(engine: Engine) -> int:
    (row,) = rows_of(engine, "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'trades'")
    return int(row[0])


def test_fault_16_times_that_cannot_be_are_quarantined_and_make_no_chunk(flusher: Flusher, engine: Engine) -> None:
    far = (timedelta(days=36_500), timedelta(days=2), timedelta(days=-20 * 365))
    (now,) = rows_of(engine, "SELECT now()")[0]
    told = [Told(partition=0, offset=n, trade_id=n, trade_ts=now + distance) for n, distance in enumerate(far)]

    done = flusher.flush(batch(told), {0: claimed(flusher)})

    assert done.reasons == {"ts_range": 3}
    assert (trades(engine), chunks(engine)) == ([], 0)
    assert position(engine) == 3


def test_fault_16_late_rows_are_refused_as_the_page_says(flusher: Flusher, engine: Engine) -> None:
    """The trigger of docs/late-rows.md: late rows go to quarantine, the others into the table."""
    page = (REPOSITORY / "docs/late-rows.md").read_text()
    with engine.begin() as connection:
        connection.execute(text(page.partition("```sql\n")[2].partition("```")[0]))
    (now,) = rows_of(engine, "SELECT now()")[0]
    old = Told(partition=0, offset=0, trade_id=1, trade_ts=now - timedelta(days=40))
    done = flusher.flush(batch([old, Told(partition=0, offset=1, trade_id=2, trade_ts=now)]), {0: claimed(flusher)})
    assert [row[0] for row in trades(engine)] == [2]
    assert done.reasons == {"rejected": 1}
    assert rows_of(engine, "SELECT reason, sqlstate FROM sink.quarantine") == [("rejected", "23514")]


def test_fault_16_rows_beyond_retention_are_written_and_counted_as_late(flusher: Flusher, engine: Engine) -> None:
    retain = DATASETS["trades"].retain
    assert retain is not None
    (now,) = rows_of(engine, "SELECT now()")[0]
    ages = (retain + timedelta(days=1), retain - timedelta(days=1))
    told = [Told(partition=0, offset=n, trade_id=n, trade_ts=now - age) for n, age in enumerate(ages)]

    done = flusher.flush(batch(told), {0: claimed(flusher)})

    assert (done.entries[0].rows_written, done.entries[0].late) == (2, 1)
    assert [row[0] for row in trades(engine)] == [0, 1]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_fault_20_of_versions_of_the_same_time_the_same_one_wins_in_any_order(
    flusher: Flusher, engine: Engine, order: tuple[int, ...]
) -> None:
    """Same time: the greater offset wins; same offset too: the greater partition."""
    places = ((0, 3), (1, 3), (2, 1))
    claims = {
        0: claimed(flusher, log_start=3),
        1: claimed(flusher, 1, log_start=3),
        2: claimed(flusher, 2, log_start=1),
    }
    for index in order:
        partition, offset = places[index]
        told = Told(partition=partition, offset=offset, trade_id=1, price=str(index + 1))
        flusher.flush(batch([told]), {partition: claims[partition]})

    assert trades(engine) == [(1, Decimal(2), 1, 3)]


def test_fault_21_a_producers_clock_that_runs_back_or_far_ahead(flusher: Flusher, engine: Engine) -> None:
    """The later version is the one of the later time; a time far ahead, which would pin its row, is refused."""
    (now,) = rows_of(engine, "SELECT now()")[0]
    minute = timedelta(minutes=1)
    told = [
        Told(partition=0, offset=0, trade_id=1, price="1", at=now),
        Told(partition=0, offset=1, trade_id=1, price="2", at=now - minute),
        Told(partition=0, offset=2, trade_id=1, price="3", at=now + timedelta(days=3)),
    ]

    done = flusher.flush(batch(told), {0: claimed(flusher)})

    assert trades(engine) == [(1, Decimal(1), 0, 0)]
    assert done.reasons == {"ts_range": 1}
    later = Told(partition=0, offset=3, trade_id=1, price="4", at=now + minute)
    flusher.flush(batch([later]), {0: claimed(flusher)})
    assert trades(engine) == [(1, Decimal(4), 0, 3)], "the refused version pins nothing"


def test_a_newer_version_replaces_the_whole_row_nulls_included(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    flusher.flush(batch([Told(partition=0, offset=0, trade_id=1, side="buy")]), claims)
    flusher.flush(batch([Told(partition=0, offset=1, trade_id=1, side=None)]), claims)

    assert rows_of(engine, "SELECT side FROM trades") == [(None,)]


def test_fault_17_every_message_of_a_batch_is_accounted_for(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher), 1: claimed(flusher, 1)}
    flusher.flush(batch([Told(partition=1, offset=0, trade_id=3, at=NOON + timedelta(hours=1))]), claims)
    told = [
        Told(partition=0, offset=0, trade_id=1),
        Told(partition=0, offset=1, trade_id=1, price="2"),
        Told(partition=0, offset=2, trade_id=None),
        Told(partition=1, offset=1, trade_id=3),
        Told(partition=1, offset=2, trade_id=4, side="neither"),
        Told(partition=1, offset=3, trade_id=5, trade_ts=NOON + timedelta(days=36500)),
    ]

    done = flusher.flush(batch(told), claims)

    by_partition = {entry.partition: entry for entry in done.entries}
    zero, one = by_partition[0], by_partition[1]
    assert (zero.messages, zero.rows_written, zero.rows_deduplicated, zero.quarantined) == (3, 1, 1, 1)
    assert (one.messages, one.rows_written, one.rows_not_newer, one.quarantined) == (3, 0, 1, 2)
    assert rows_of(
        engine, 'SELECT partition, "offset", reason, sqlstate, value FROM sink.quarantine ORDER BY 1, 2'
    ) == [
        (0, 2, "decode", None, b"0/2"),
        (1, 2, "rejected", "23514", b"1/2"),
        (1, 3, "ts_range", None, b"1/3"),
    ]
    assert done.reasons == {"decode": 1, "rejected": 1, "ts_range": 1}


def test_the_runner_up_takes_the_place_of_a_refused_winner(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    told = [
        Told(partition=0, offset=0, trade_id=1, price="1", side="buy"),
        Told(partition=0, offset=1, trade_id=1, price="2", side="sell"),
        Told(partition=0, offset=2, trade_id=1, price="3", side="neither"),
        Told(partition=0, offset=3, trade_id=1, price="4", side="wrong"),
        Told(partition=0, offset=4, trade_id=2, price="5"),
    ]

    done = flusher.flush(batch(told), claims)

    assert trades(engine) == [(1, Decimal(2), 0, 1), (2, Decimal(5), 0, 4)]
    assert [row[0] for row in rows_of(engine, 'SELECT "offset" FROM sink.quarantine ORDER BY 1')] == [2, 3]
    entry = done.entries[0]
    assert (entry.messages, entry.rows_written, entry.rows_deduplicated, entry.quarantined) == (5, 2, 1, 2)


@pytest.mark.parametrize("bad", [{0}, {63}, {5, 6}, {0, 31, 63}, set(range(64))])
def test_bad_rows_are_found_wherever_they_are(flusher: Flusher, engine: Engine, bad: set[int]) -> None:
    claims = {0: claimed(flusher)}
    told = [Told(partition=0, offset=n, trade_id=n, side="wrong" if n in bad else "buy") for n in range(64)]

    flusher.flush(batch(told), claims)

    assert {row[0] for row in trades(engine)} == set(range(64)) - bad
    assert {row[0] for row in rows_of(engine, 'SELECT "offset" FROM sink.quarantine')} == bad
    assert position(engine) == 64


class _Counting(psycopg.Cursor[Any]):
    """A cursor that counts the statements that all of its kind send."""

    statements = 0

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        _Counting.statements += 1
        return super().execute(query, *arguments, **options)

    def copy(self, *arguments: Any, **options: Any) -> Any:
        _Counting.statements += 1
        return super().copy(*arguments, **options)


@pytest.mark.parametrize(("bad", "rows"), [(1, 1024), (5, 1024), (17, 512)])
def test_bad_rows_cost_a_number_of_statements_that_grows_with_their_logarithm(
    writer_url: str, engine: Engine, bad: int, rows: int
) -> None:
    """O(k log n): a bad row takes the halves above it and their sisters, some statements for each."""

    def connect() -> psycopg.Connection:
        connection = open_connection(writer_url, application_name="test")
        connection.cursor_factory = _Counting
        return connection

    flusher = Flusher(dataset=DATASETS["trades"], source=SOURCE, owner="me", connect=connect)
    claims = {0: claimed(flusher)}
    spread = set(range(3, rows, rows // bad)[:bad])
    told = [Told(partition=0, offset=n, trade_id=n, side="wrong" if n in spread else "buy") for n in range(rows)]
    made = batch(told)
    _Counting.statements = 0

    flusher.flush(made, claims)

    # at most two subtrees a level and bad row, and seven statements each; the rest is the flush itself
    assert _Counting.statements <= 7 * bad * (2 * math.log2(rows) + 1) + 30
    assert len(spread) == bad
    assert {row[0] for row in trades(engine)} == set(range(rows)) - spread
    assert {row[0] for row in rows_of(engine, 'SELECT "offset" FROM sink.quarantine')} == spread
    flusher.close()


def test_contiguous_flushes_of_a_claim_extend_one_ledger_row(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    flusher.flush(batch([Told(partition=0, offset=0, trade_id=1)]), claims)
    flusher.flush(batch([Told(partition=0, offset=1, trade_id=2)]), claims)
    flusher.flush(batch([Told(partition=0, offset=2, trade_id=3)]), {0: claimed(flusher)} | {})

    ranges = "SELECT from_offset, to_offset, claim_seq, messages FROM sink.flushes ORDER BY id"
    assert rows_of(engine, ranges) == [(0, 2, 1, 2), (2, 3, 2, 1)]


SLOW_COMMIT = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON sink.flushes DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow()
"""


def test_the_ledger_says_where_the_time_went_the_commit_with_the_flush_that_follows(
    flusher: Flusher, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text(SLOW_COMMIT))
    claims = {number: claimed(flusher, number, initial={0: 0, 1: 0}) for number in (0, 1)}
    told = [Told(partition=number % 2, offset=number // 2, trade_id=number) for number in range(8)]
    times = Times(filled=0.5, waited=0.25)
    split = (
        "SELECT flushes, filled_seconds, waited_seconds, written_seconds > 0, written_seconds >= 0.3"
        " FROM sink.flushes ORDER BY partition, id"
    )

    flusher.flush(batch(told[:4]), claims, times=times)
    assert rows_of(engine, split)[0][:4] == (1, 0.5, 0.25, True)

    flusher.flush(batch(told[4:]), claims, times=times)
    assert rows_of(engine, split) == [(2, 1.0, 0.5, True, True)] * 2, "each partition has the times of the whole flush"

    flusher.skip(replace(claims[0], start=4), 5)
    assert rows_of(engine, split)[1] == (None, None, None, None, None), "nothing was flushed here"


def test_offsets_without_messages_are_accounted_for(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    empty = batch([Told(partition=0, offset=0, trade_id=1)])
    empty.advance(0, 1, 4)

    flusher.flush(empty, claims)

    assert position(engine) == 4
    assert rows_of(engine, "SELECT from_offset, to_offset, messages FROM sink.flushes") == [(0, 4, 1)]


def test_undecodable_messages_alone_still_move_the_position(flusher: Flusher, engine: Engine) -> None:
    flusher.flush(batch([Told(partition=0, offset=0, trade_id=None)]), {0: claimed(flusher)})

    assert position(engine) == 1
    assert rows_of(engine, "SELECT reason, error, key FROM sink.quarantine") == [
        ("decode", "not a trade\\x00", b"BTCUSDT")
    ]


def test_under_the_producers_clock_a_message_without_observed_at_is_quarantined(
    flusher: Flusher, engine: Engine
) -> None:
    told = [
        Told(partition=0, offset=0, trade_id=1, observed_at=NOON),
        Told(partition=0, offset=1, trade_id=2, observed_at=None),
    ]

    flusher.flush(batch(told, clock="field"), {0: claimed(flusher)})

    assert [row[0] for row in trades(engine)] == [1]
    assert rows_of(engine, "SELECT reason FROM sink.quarantine") == [("no_observed_at",)]


@pytest.mark.parametrize(
    ("seen", "start"),
    [
        ({}, 3),
        ({"initial": {0: 9, 1: 9}}, 9),
        ({"initial": {0: 9}, "committed": 2}, 2),
        ({"initial": {0: 9}, "committed": 2, "marked": True}, 9),
        ({"initial": {0: 9}, "committed": 12}, 9),
    ],
)
def test_a_first_claim_starts_where_the_setting_or_an_operator_says(
    flusher: Flusher, seen: dict[str, Any], start: int
) -> None:
    assert claimed(flusher, log_start=3, **seen).start == start


def test_fault_37_a_partition_added_later_starts_at_its_log_start(flusher: Flusher) -> None:
    claimed(flusher, 0, initial={0: 100, 1: 100})

    assert claimed(flusher, 1, initial={0: 200, 1: 200, 2: 50}).start == 100
    assert claimed(flusher, 2, initial={0: 200, 1: 200, 2: 50}).start == 0


def test_an_unmarked_lower_commit_rewinds_and_is_recorded(flusher: Flusher, engine: Engine) -> None:
    flusher.flush(batch([Told(partition=0, offset=n, trade_id=n) for n in range(5)]), {0: claimed(flusher)})

    rewound = claimed(flusher, committed=2)

    assert (rewound.start, rewound.rewound_from) == (2, 5)
    assert position(engine) == 2
    assert rows_of(engine, "SELECT kind, from_offset, to_offset FROM sink.flushes ORDER BY id") == [
        ("flush", 0, 5),
        ("rewind", 5, 2),
    ]
    assert claimed(flusher, committed=1, marked=True).start == 2


def test_fault_35_a_topic_made_anew_is_refused_by_the_claim(flusher: Flusher) -> None:
    claimed(flusher, topic_id="old")

    with pytest.raises(DefinitionError, match="deleted and made anew"):
        claimed(flusher, topic_id="new")


def test_fault_49_another_kafka_cluster_is_refused(flusher: Flusher) -> None:
    flusher.recognise("cluster-a", "sink.trades")
    flusher.recognise("cluster-a", "sink.trades")

    with pytest.raises(DefinitionError, match="cluster-b"):
        flusher.recognise("cluster-b", "sink.trades")


def test_fault_36_a_gap_in_kafkas_log_is_recorded(flusher: Flusher, engine: Engine) -> None:
    claim = claimed(flusher)

    assert flusher.skip(claim, 50).durable == {0: 50}
    assert rows_of(engine, "SELECT kind, from_offset, to_offset FROM sink.flushes") == [("gap", 0, 50)]
    assert claimed(flusher).start == 50


def test_a_missing_table_says_what_to_run(flusher: Flusher, engine: Engine) -> None:
    claim = claimed(flusher)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE trades"))

    with pytest.raises(DefinitionError, match="sink migrate"):
        flusher.flush(batch([Told(partition=0, offset=0, trade_id=1)]), {0: claim})
    assert position(engine) == 0


def test_a_missing_grant_says_what_to_run(flusher: Flusher, engine: Engine) -> None:
    claim = claimed(flusher)
    with engine.begin() as connection:
        connection.execute(text("REVOKE INSERT ON trades FROM sink_writer"))

    with pytest.raises(DefinitionError, match=r"roles\.sql"):
        flusher.flush(batch([Told(partition=0, offset=0, trade_id=1)]), {0: claim})


def test_fault_26_a_lost_connection_is_transient_and_the_flush_can_be_run_again(
    flusher: Flusher, engine: Engine
) -> None:
    claims = {0: claimed(flusher)}
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'sink_writer' AND datname = current_database()"
            )
        )
    told = [Told(partition=0, offset=0, trade_id=1)]

    with pytest.raises(TransientError):
        flusher.flush(batch(told), claims)

    assert flusher.flush(batch(told), claims).durable == {0: 1}
    assert [row[0] for row in trades(engine)] == [1]


def test_fault_30_a_statement_timeout_asks_for_a_smaller_batch(writer_url: str, engine: Engine) -> None:
    slow = flusher_of(writer_url, limits=Limits(statement_timeout=0.3))
    claim = claimed(slow)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$"
            )
        )
        connection.execute(text("CREATE TRIGGER slow BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION slow()"))

    with pytest.raises(OversizeError):
        slow.flush(batch([Told(partition=0, offset=0, trade_id=1)]), {0: claim})
    slow.close()


def test_fault_29_a_lock_held_too_long_is_transient(writer_url: str, engine: Engine) -> None:
    waiting = flusher_of(writer_url, limits=Limits(lock_timeout=0.2))
    claim = claimed(waiting)
    with engine.begin() as connection:
        connection.execute(text("SELECT * FROM sink.positions FOR UPDATE"))

        with pytest.raises(TransientError):
            waiting.flush(batch([Told(partition=0, offset=0, trade_id=1)]), {0: claim})
    waiting.close()


def test_a_claim_does_not_wait_for_ever_for_a_stuck_owner(flusher: Flusher, writer_url: str) -> None:
    """The stuck owner is in the middle of a COPY: no time-out of the server ends that."""
    claim = claimed(flusher)
    stuck = open_connection(writer_url, application_name="stuck")
    cursor = stuck.cursor()
    cursor.execute("BEGIN")
    cursor.execute("SELECT * FROM sink.positions FOR UPDATE")
    copying = cursor.copy("COPY trades (symbol) FROM STDIN")
    copying.__enter__()

    impatient = flusher_of(writer_url, "next", Limits(claim_patience=0.3))
    taken = claimed(impatient)

    assert (taken.seq, taken.start) == (claim.seq + 1, 0)
    assert claimed(flusher).seq == claim.seq + 2, "only the blocker was ended"
    with pytest.raises(psycopg.OperationalError):
        copying.__exit__(None, None, None)
    stuck.close()
    impatient.close()


class _Swallower(psycopg.Cursor[Any]):
    """A cursor that lets its transaction break just before COMMIT, after every check, and swallows the error."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        if query == "COMMIT":
            with pytest.raises(psycopg.errors.DivisionByZero):
                super().execute("SELECT 1 / 0")
        return super().execute(query, *arguments, **options)


def test_fault_28_a_commit_that_is_answered_with_rollback_is_no_commit(
    flusher: Flusher, writer_url: str, engine: Engine
) -> None:
    claim = claimed(flusher)

    def connect() -> psycopg.Connection:
        connection = open_connection(writer_url, application_name="test")
        connection.cursor_factory = _Swallower
        return connection

    lying = Flusher(dataset=DATASETS["trades"], source=SOURCE, owner="me", connect=connect)

    with pytest.raises(TransientError, match="ROLLBACK"):
        lying.flush(batch([Told(partition=0, offset=0, trade_id=1)]), {0: claim})
    assert trades(engine) == []


def test_a_flush_never_lowers_synchronous_commit(writer_url: str, engine: Engine) -> None:
    """A trigger notes the setting in force while the rows are written."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "ALTER ROLE sink_writer IN DATABASE current SET synchronous_commit = off".replace(
                    "DATABASE current", f"DATABASE {engine.url.database}"
                )
            )
        )
        connection.execute(text("CREATE TABLE noted (setting text)"))
        connection.execute(text("GRANT INSERT ON noted TO sink_writer"))
        connection.execute(
            text(
                "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$"
            )
        )
        connection.execute(text("CREATE TRIGGER note BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION note()"))
    fresh = flusher_of(writer_url)

    fresh.flush(batch([Told(partition=0, offset=0, trade_id=1)]), {0: claimed(fresh)})

    assert rows_of(engine, "SELECT setting FROM noted") == [("on",)]
    fresh.close()


def _interleaved(offsets: Sequence[int]) -> list[Told]:
    return [Told(partition=0, offset=offset, trade_id=offset % 3, price=str(offset)) for offset in offsets]


def test_fault_18_a_replay_of_everything_changes_nothing(flusher: Flusher, engine: Engine) -> None:
    claims = {0: claimed(flusher)}
    flusher.flush(batch(_interleaved(range(10))), claims)
    before = rows_of(engine, "SELECT * FROM trades ORDER BY trade_id")
    rewound = {0: claimed(flusher, committed=0)}

    done = flusher.flush(batch(_interleaved(range(10))), rewound)

    assert rows_of(engine, "SELECT * FROM trades ORDER BY trade_id") == before
    assert done.entries[0].rows_not_newer == 3


def test_a_replay_soon_leaves_rows_that_are_there_untouched(flusher: Flusher, engine: Engine) -> None:
    """The upsert locks every row that it finds, which shows in xmax; looking first does not."""
    told = [Told(partition=0, offset=offset, trade_id=offset) for offset in range(10)]
    locks = "SELECT trade_id, xmax FROM trades ORDER BY trade_id"
    flusher.flush(batch(told), {0: claimed(flusher)})
    flusher.flush(batch(told), {0: claimed(flusher, committed=0)})
    upserted = rows_of(engine, locks)

    done = flusher.flush(batch(told), {0: claimed(flusher, committed=0)})

    assert rows_of(engine, locks) == upserted
    assert (done.entries[0].rows_written, done.entries[0].rows_not_newer) == (0, 10)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=90)], ids=["near", "far apart"])
def test_what_is_new_or_newer_among_rows_that_are_there_is_written(
    flusher: Flusher, engine: Engine, later: timedelta
) -> None:
    """Whether the flush looks first, or the rows lie too far apart for that."""
    told = [Told(partition=0, offset=offset, trade_id=offset, trade_ts=NOON) for offset in range(10)]
    told[1] = replace(told[1], trade_ts=NOON - later)
    flusher.flush(batch(told), {0: claimed(flusher)})
    flusher.flush(batch(told), {0: claimed(flusher, committed=0)})
    told[0] = replace(told[0], price="2", at=NOON + timedelta(seconds=1))
    told[3] = replace(told[3], price="3", at=NOON - timedelta(seconds=1))
    more = Told(partition=0, offset=10, trade_id=10, price="4")

    done = flusher.flush(batch([*told, more]), {0: claimed(flusher, committed=0)})

    assert {row[0]: int(row[1]) for row in trades(engine)} == dict.fromkeys(range(11), 1) | {0: 2, 10: 4}
    assert (done.entries[0].rows_written, done.entries[0].rows_not_newer) == (2, 9)


def test_a_row_that_is_refused_among_rows_that_are_there_is_found(flusher: Flusher, engine: Engine) -> None:
    told = [Told(partition=0, offset=offset, trade_id=offset) for offset in range(10)]
    flusher.flush(batch(told), {0: claimed(flusher)})
    flusher.flush(batch(told), {0: claimed(flusher, committed=0)})
    bad = Told(partition=0, offset=10, trade_id=10, side="neither")

    done = flusher.flush(batch([*told, bad]), {0: claimed(flusher, committed=0)})

    assert [row[0] for row in trades(engine)] == list(range(10))
    assert (done.entries[0].quarantined, done.entries[0].rows_not_newer) == (1, 10)
