"""Faults around the loop, over a fake log and the real database: it waits, claims again or halts, and loses nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, make_url, text

from sink.errors import DeadlineError, DefinitionError, RefusedError
from sink.kafka.log import Committed, LogFault
from sink.pipeline import Options
from tests.fake_log import FakeLog, partition_of
from tests.rig import Rig, chain_is_whole, everything, ids
from tests.triggers import fail_inserts

WATCHFUL = Options(max_age=0.0, positions_every=1.0, look_every=3.0)


@pytest.fixture
def log() -> FakeLog:
    return FakeLog(told={0: partition_of(0, range(6)), 1: partition_of(1, [0, 1, 5, 9])})


@pytest.fixture
def rig(writer_url: str, log: FakeLog) -> Iterator[Rig]:
    made = Rig(writer_url, log, WATCHFUL)
    yield made
    made.flusher.close()


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def failed_over(engine: Engine, offset: int) -> None:
    """Leave what a standby has that had not received anything behind this offset of partition 0."""
    execute(
        engine,
        f"DELETE FROM trades WHERE source_partition = 0 AND source_offset >= {offset}",
        f"DELETE FROM sink.flushes WHERE partition = 0 AND from_offset >= {offset}",
        f"UPDATE sink.flushes SET to_offset = LEAST(to_offset, {offset}) WHERE partition = 0",
        f"UPDATE sink.positions SET next_offset = LEAST(next_offset, {offset}) WHERE partition = 0",
    )


def test_fault_25_a_database_that_comes_later_finds_us_in_the_group(rig: Rig, log: FakeLog, engine: Engine) -> None:
    url, rig.url = rig.url, make_url(rig.url).set(port=1).render_as_string(hide_password=False)
    log.assign(0, 1)
    rig.steps(20)
    assert rig.pipeline.failure is None
    assert rig.pipeline.assignment.in_state(rig.pipeline.assignment[0].state) == [0, 1]

    rig.url = url
    rig.steps(60)

    assert ids(engine) == everything(log)


def test_fault_25_a_login_refused_while_running_is_waited_for(rig: Rig, log: FakeLog, engine: Engine) -> None:
    """At a start it ends the process; later it may be a failover or a password that is being changed."""
    log.assign(0)
    rig.flusher.errors = [RefusedError("no such role")] * 4

    rig.steps(60)

    assert rig.pipeline.failure is None
    assert ids(engine) == [0, 1, 2, 3, 4, 5]


def test_fault_30_a_limit_on_one_statement_is_passed_by_halving(rig: Rig, log: FakeLog, engine: Engine) -> None:
    """TimescaleDB's limit of rows decompressed in a transaction, played by a trigger that lets three rows pass."""
    fail_inserts(
        engine,
        "PERFORM set_config('test.rows',"
        " (COALESCE(NULLIF(current_setting('test.rows', true), ''), '0')::int + 1)::text, true);"
        " IF current_setting('test.rows')::int > 3 THEN"
        " RAISE EXCEPTION 'too many' USING ERRCODE = '53400'; END IF;",
    )
    log.assign(0, 1)

    rig.steps(30)

    assert ids(engine) == everything(log)
    assert max(rig.flusher.sizes) > 3 >= min(rig.flusher.sizes)
    assert chain_is_whole(engine)
    assert rig.pipeline.failure is None


def test_fault_30_a_database_that_stalls_again_and_again_halts_nothing(rig: Rig, log: FakeLog, engine: Engine) -> None:
    """It ends transactions for their time, however small they are: halving helps the slow, waiting the stalled."""
    log.told = {0: partition_of(0, [0, 1])}
    log.assign(0)
    rig.flusher.errors = [DeadlineError("too slow")] * 6

    rig.steps(60)

    assert rig.pipeline.failure is None
    assert rig.flusher.sizes[:2] == [2, 1]
    assert ids(engine) == [0, 1]


def test_fault_32_a_failover_that_lost_commits_is_noticed_while_idle(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0, 1)
    rig.steps()
    assert ids(engine) == everything(log)

    failed_over(engine, 2)
    rig.steps(12)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)


def test_fault_32_a_failover_that_lost_commits_is_noticed_while_busy(
    writer_url: str, log: FakeLog, engine: Engine
) -> None:
    """A batch behind what was lost is on its way to the database; under load nobody looks at positions otherwise."""
    rig = Rig(writer_url, log, Options(max_age=0.0, positions_every=10_000))
    log.assign(0, 1)
    rig.steps()
    log.told[0] += partition_of(0, range(6, 9))
    rig.writer.held = True
    rig.steps(4)
    failed_over(engine, 2)
    rig.writer.held = False
    rig.writer.release()

    rig.steps(12)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)
    rig.flusher.close()


def test_fault_32_a_failover_that_lost_our_claim_too_is_claimed_back(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0, 1)
    rig.steps()
    failed_over(engine, 2)
    execute(engine, "UPDATE sink.positions SET claim_token = gen_random_uuid(), claim_seq = 7, owner = 'before'")
    log.told[0] += partition_of(0, range(6, 9))

    rig.steps(150)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)


def test_fault_35_a_topic_made_anew_while_running_halts(
    rig: Rig, log: FakeLog, engine: Engine, expects_error_log: list[str]
) -> None:
    """The real client reads on behind the first messages of the new topic, see the test on the broker."""
    log.assign(0)
    rig.steps()
    log.topic_id = "topic-2"
    log.told = {0: partition_of(0, range(20))}

    rig.steps()

    assert isinstance(rig.pipeline.failure, DefinitionError)
    assert "deleted and made anew" in str(rig.pipeline.failure)
    assert expects_error_log == ["halted"]
    # what the message says to do brings every message of the new topic
    execute(engine, "DELETE FROM sink.positions", "DELETE FROM sink.flushes")
    log.commits = {}
    again = Rig(rig.url, log, WATCHFUL)
    log.assign(0)
    again.steps(10)
    assert ids(engine) == list(range(20))
    again.flusher.close()


def test_fault_35_a_topic_deleted_while_running_halts_although_nobody_says_so(
    rig: Rig, log: FakeLog, expects_error_log: list[str]
) -> None:
    log.assign(0)
    rig.steps()
    log.deleted = True

    rig.steps()

    assert "sink topics apply" in str(rig.pipeline.failure)
    assert expects_error_log == ["halted"]


def test_fault_35_the_topic_is_looked_at_also_under_load(
    writer_url: str, log: FakeLog, expects_error_log: list[str]
) -> None:
    """A full batch is always waiting for the writer, and the look comes in between."""
    log.told = {0: partition_of(0, range(400))}
    rig = Rig(writer_url, log, Options(max_age=0.0, max_rows=5, look_every=10.0))
    log.assign(0)
    rig.steps(5)
    log.topic_id = "topic-2"

    rig.steps(15)

    assert "deleted and made anew" in str(rig.pipeline.failure)
    assert expects_error_log == ["halted"]
    rig.flusher.close()


def test_fault_43_a_partition_that_kafkas_client_forgets_after_a_rebalance_is_read_again(
    rig: Rig, log: FakeLog, engine: Engine
) -> None:
    log.assign(0, 1)
    rig.steps()
    log.asleep.add(0)
    log.told[0] += partition_of(0, [6, 7])
    log.told[1] += partition_of(1, [10])
    rig.steps(3)
    assert {6, 7}.isdisjoint(ids(engine)), "the partition delivers, and the test shows nothing"

    rig.steps(9)

    assert ids(engine) == [0, 1, 2, 3, 4, 5, 6, 7, 1000, 1001, 1005, 1009, 1010]
    assert log.asleep == set()


def test_a_partition_without_messages_is_left_alone(rig: Rig, log: FakeLog) -> None:
    log.assign(0, 1)
    rig.steps()
    claims = [rig.pipeline.assignment[number].claim for number in (0, 1)]

    rig.steps(20)

    assert [rig.pipeline.assignment[number].claim for number in (0, 1)] == claims


def test_fault_37_a_partition_added_while_running_starts_at_its_first_offset(
    writer_url: str, log: FakeLog, engine: Engine
) -> None:
    """Even where a new sink would start at the end."""
    rig = Rig(writer_url, log, Options(max_age=0.0, initial_offset="latest"))
    log.assign(0, 1)
    rig.steps()
    assert ids(engine) == []

    log.told[2] = partition_of(2, range(3))
    log.assign(2)
    rig.steps()

    assert ids(engine) == [2000, 2001, 2002]
    rig.flusher.close()


def test_fault_38_an_access_that_is_denied_halts_with_what_the_broker_said(
    rig: Rig, log: FakeLog, expects_error_log: list[str]
) -> None:
    log.assign(0)
    log.faults = [LogFault(kind="denied", partition=None, error="Broker: Topic authorization failed")]

    rig.steps(2)

    assert isinstance(rig.pipeline.failure, DefinitionError)
    assert "Topic authorization failed" in str(rig.pipeline.failure)
    assert log.commits == {}
    assert expects_error_log == ["halted"]


@pytest.mark.parametrize("jump", [3600.0, 86_400.0])
def test_fault_44_a_clock_that_leaps_ahead_loses_nothing(rig: Rig, log: FakeLog, engine: Engine, jump: float) -> None:
    """A machine that slept: every time-out is over at once, in the middle of a batch."""
    log.assign(0, 1)
    rig.steps(2)
    rig.writer.held = True
    rig.steps(1)
    rig.now += jump
    rig.steps(2)
    rig.writer.held = False
    rig.writer.release()

    rig.steps(12)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)


def test_fault_45_a_poll_that_breaks_off_again_and_again_loses_nothing(rig: Rig, log: FakeLog, engine: Engine) -> None:
    """What the broken poll had taken from the queue is gone, and comes again after the claim."""
    dice = random.Random(3)
    log.told = {0: partition_of(0, range(40)), 1: partition_of(1, range(40))}
    log.assign(0, 1)
    for _ in range(40):
        log.broken = dice.random() < 0.5
        rig.steps(1)

    rig.steps(12)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)


def test_fault_49_a_database_that_was_lost_is_told_loudly_and_filled_again(
    rig: Rig, log: FakeLog, engine: Engine, expects_error_log: list[str]
) -> None:
    """Kafka has commits with our mark, the database has never heard of us."""
    log.assign(0)
    rig.steps()
    log.lose(0)
    rig.steps(1)
    assert log.commits[0] == Committed(offset=6, marked=True)
    execute(engine, "DELETE FROM trades", "DELETE FROM sink.flushes", "DELETE FROM sink.positions")
    log.assign(0)

    rig.steps()

    assert ids(engine) == [0, 1, 2, 3, 4, 5]
    assert expects_error_log == [
        "Kafka knows this sink, the database does not: it was lost or restored; reading starts anew"
    ]


def test_fault_49_a_database_restored_from_a_backup_goes_on_where_the_backup_ends(
    rig: Rig, log: FakeLog, engine: Engine
) -> None:
    """Positions and rows were saved together, and Kafka's commits are further on: they do not count."""
    log.assign(0)
    rig.steps()
    log.lose(0)
    rig.steps(1)
    failed_over(engine, 3)
    log.assign(0)

    rig.steps()

    assert ids(engine) == [0, 1, 2, 3, 4, 5]
    assert chain_is_whole(engine)
