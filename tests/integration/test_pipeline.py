"""The loop over a fake log and the real database: rebalances, faults and back-pressure lose and double nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from sink.assignment import State
from sink.errors import DefinitionError, OversizeError, TransientError
from sink.kafka.log import Committed, LogFault
from sink.lane import UNLISTED_TRIES
from sink.ledger import Start
from sink.pipeline import MUTUAL_FENCES, Options
from sink.transactions import UnlistedError
from tests.build import Told
from tests.fake_log import FakeLog, partition_of
from tests.flushing import rows_of
from tests.rig import Rig, chain_is_whole, everything, ids


@pytest.fixture
def log() -> FakeLog:
    return FakeLog(told={0: partition_of(0, range(6)), 1: partition_of(1, [0, 1, 5, 9])})


@pytest.fixture
def rig(writer_url: str, log: FakeLog) -> Iterator[Rig]:
    made = Rig(writer_url, log)
    yield made
    made.flusher.close()


@pytest.fixture
def rig_of_patience(writer_url: str, log: FakeLog) -> Iterator[Rig]:
    made = Rig(writer_url, log, Options(max_age=10, positions_every=10_000))
    yield made
    made.flusher.close()


def test_everything_arrives_and_is_committed_with_our_mark(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0, 1)

    rig.steps()

    assert ids(engine) == everything(log)
    assert log.commits == {0: Committed(offset=6, marked=True), 1: Committed(offset=10, marked=True)}
    assert chain_is_whole(engine)


def test_offsets_of_control_records_are_passed(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.ends = {0: 8}
    log.assign(0, 1)

    rig.steps()

    assert log.commits[0].offset == 8
    assert chain_is_whole(engine)


def test_what_comes_again_from_the_beginning_is_left_out(writer_url: str, log: FakeLog, engine: Engine) -> None:
    """A slow broker's answer to the assignment overtakes the seek, so that delivery starts over."""
    rig = Rig(writer_url, log, Options(max_age=0.0, max_rows=4))
    log.assign(0)
    rig.steps(10)
    log.jump(0, 0)
    log.told[0] += partition_of(0, range(6, 9))

    rig.steps(10)

    assert ids(engine) == list(range(9))
    assert rig.pipeline.totals.messages == 9
    assert chain_is_whole(engine)
    rig.flusher.close()


def test_nothing_is_committed_before_it_is_durable(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0)
    rig.steps(2)
    rig.writer.held = True
    rig.steps(4)

    assert log.commits == {}
    assert ids(engine) == []

    rig.writer.held = False
    rig.writer.release()
    rig.steps()
    assert log.commits[0].offset == 6


def test_a_batch_waits_for_more_where_the_flush_before_it_took_long(
    writer_url: str, log: FakeLog, engine: Engine
) -> None:
    rig = Rig(writer_url, log, Options(max_age=10, positions_every=10_000))
    rig.flush_seconds = 3
    log.assign(0)
    rig.steps(6, seconds=0.5)
    assert log.commits == {}, "a fifth of ten seconds has not passed"
    rig.steps(3, seconds=0.5)
    assert log.commits[0].offset == 6

    log.told[0] = partition_of(0, range(8))
    rig.steps(6)
    assert ids(engine) == [0, 1, 2, 3, 4, 5], "six seconds have not passed"
    rig.steps(3)
    assert ids(engine) == [0, 1, 2, 3, 4, 5, 6, 7]
    rig.flusher.close()


def test_the_ledger_tells_filling_from_waiting_for_the_writer(
    rig_of_patience: Rig, log: FakeLog, engine: Engine
) -> None:
    """A batch is due two seconds after its first message; then it waits until the writer has time."""
    rig = rig_of_patience
    split = "SELECT flushes, filled_seconds, waited_seconds FROM sink.flushes ORDER BY id"
    log.assign(0)
    rig.steps(5)  # assigned, claimed, read at 3, flushed at 5
    assert rows_of(engine, split) == [(1, 2, 0)]

    rig.writer.held = True
    log.told[0] = partition_of(0, range(8))
    rig.steps(3)  # read at 6, due at 8
    log.told[0] = partition_of(0, range(9))
    rig.steps(7)  # read at 9, due at 11
    rig.writer.held = False
    rig.writer.release()  # the first at 15
    rig.steps(1)  # the second at 16
    assert ids(engine) == list(range(9))
    assert rows_of(engine, split) == [(3, 2 + 2 + 2, 0 + 7 + 5)]


def test_what_is_collected_is_flushed_when_a_partition_is_revoked(
    writer_url: str, log: FakeLog, engine: Engine
) -> None:
    rig = Rig(writer_url, log, Options(max_age=1000))
    log.assign(0, 1)
    rig.steps()
    assert ids(engine) == []

    log.revoke(0)
    rig.steps(1)

    assert ids(engine) == [0, 1, 2, 3, 4, 5]
    assert log.commits == {0: Committed(offset=6, marked=True)}
    rig.flusher.close()


def test_what_is_collected_is_dropped_when_a_partition_is_lost(writer_url: str, log: FakeLog, engine: Engine) -> None:
    rig = Rig(writer_url, log, Options(max_age=1000))
    log.assign(0, 1)
    rig.steps()

    log.lose(0)
    rig.steps(1)
    rig.pipeline.drain(rig.now + 10)

    assert ids(engine) == [1000, 1001, 1005, 1009]
    assert 0 not in log.commits
    rig.flusher.close()


def test_a_flush_in_flight_while_its_partition_goes_and_comes_back(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0)
    rig.steps(2)
    rig.writer.held = True
    rig.steps(2)
    log.lose(0)
    log.assign(0)
    rig.steps(1)
    rig.writer.held = False
    rig.writer.release()

    rig.steps()

    assert ids(engine) == [0, 1, 2, 3, 4, 5]
    assert chain_is_whole(engine)
    assert log.commits[0].offset == 6


def test_a_database_that_is_away_stops_nothing_for_good(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0, 1)
    rig.flusher.errors = [TransientError("away")] * 6

    rig.steps(60)

    assert ids(engine) == everything(log)
    assert rig.pipeline.failure is None


def test_an_error_without_a_rule_is_tried_a_few_times_then_halts(
    rig: Rig, log: FakeLog, engine: Engine, expects_error_log: list[str]
) -> None:
    log.assign(0)
    rig.flusher.errors = [UnlistedError("odd")] * 100

    rig.steps(100)

    assert isinstance(rig.pipeline.failure, UnlistedError)
    assert len(rig.flusher.errors) == 100 - UNLISTED_TRIES
    assert ids(engine) == []
    assert expects_error_log == ["halted"]


def test_an_error_without_a_rule_in_a_claim_passes_if_it_does_so_soon(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0)
    rig.flusher.claim_errors = [UnlistedError("odd")] * (UNLISTED_TRIES - 1)

    rig.steps(40)

    assert rig.pipeline.failure is None
    assert ids(engine) == [one.trade_id for one in log.told[0]]


def test_a_lasting_error_without_a_rule_in_a_claim_halts(rig: Rig, log: FakeLog, expects_error_log: list[str]) -> None:
    log.assign(0)
    rig.flusher.claim_errors = [UnlistedError("odd")] * 100

    rig.steps(100)

    assert isinstance(rig.pipeline.failure, UnlistedError)
    assert len(rig.flusher.claim_errors) == 100 - UNLISTED_TRIES
    assert expects_error_log == ["halted"]


def test_a_wrong_definition_halts_at_once(rig: Rig, log: FakeLog, expects_error_log: list[str]) -> None:
    log.assign(0)
    rig.flusher.errors = [DefinitionError("no table")]

    rig.steps()

    assert isinstance(rig.pipeline.failure, DefinitionError)
    assert log.commits == {}
    assert expects_error_log == ["halted"]


def test_fault_30_too_much_at_once_is_halved_until_it_passes(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0, 1)
    rig.flusher.errors = [OversizeError("too much")] * 3

    rig.steps(20)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)
    assert rig.flusher.sizes[0] > min(rig.flusher.sizes)


def test_fault_30_a_single_message_that_is_too_much_halts(rig: Rig, log: FakeLog, expects_error_log: list[str]) -> None:
    log.told = {0: partition_of(0, [0])}
    log.assign(0)
    rig.flusher.errors = [OversizeError("too much")] * 9

    rig.steps(20)

    assert isinstance(rig.pipeline.failure, OversizeError)
    assert expects_error_log == ["halted"]


def test_fault_45_a_poll_that_breaks_off_loses_nothing(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0, 1)
    rig.steps(1)
    log.broken = True
    rig.steps(1)
    log.broken = True

    rig.steps(12)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)


def test_fault_04_a_registry_that_is_away_holds_messages_back_and_loses_none(
    rig: Rig, log: FakeLog, engine: Engine
) -> None:
    log.assign(0, 1)
    rig.decoder.away = True
    rig.steps(30)
    assert ids(engine) == []
    assert log.paused() == {0, 1}

    rig.decoder.away = False
    rig.steps(60)

    assert ids(engine) == everything(log)
    assert chain_is_whole(engine)
    assert log.paused() == set()


def test_while_the_database_hangs_memory_is_bounded_and_polling_goes_on(
    writer_url: str, log: FakeLog, engine: Engine
) -> None:
    log.told = {0: partition_of(0, range(500))}
    rig = Rig(writer_url, log, Options(max_age=0.0, max_rows=20))
    log.assign(0)
    rig.steps(2)
    rig.writer.held = True
    collected = []
    for _ in range(30):
        rig.writer.held = True
        rig.now += 1.0
        if rig.pipeline._lane._running is not None:
            rig.pipeline._lane._running.wait = lambda _seconds: False
        rig.pipeline.step()
        collected.append(rig.pipeline._collector.count)
    assert max(collected) <= 20
    assert log.paused() == {0}

    rig.writer.held = False
    rig.writer.release()
    rig.steps(80)
    assert ids(engine) == list(range(500))
    rig.flusher.close()


def test_another_owner_fences_us_and_we_claim_back_if_it_stays_ours(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0)
    rig.steps(3)
    other = rig.flusher_of("other")
    other.claim(Start(partition=0, log_start=0, initial={}), uuid.uuid4())
    log.told[0] += partition_of(0, range(6, 9))

    rig.steps(120)

    assert ids(engine) == list(range(9))
    assert chain_is_whole(engine)
    assert rig.pipeline.totals.fenced == 1
    other.close()


def test_two_sinks_that_share_positions_stop_instead_of_fighting(
    rig: Rig, log: FakeLog, expects_error_log: list[str]
) -> None:
    log.assign(0)
    other = rig.flusher_of("other")
    for _ in range(MUTUAL_FENCES):
        rig.steps(60)
        other.claim(Start(partition=0, log_start=0, initial={}), uuid.uuid4())
    rig.steps(60)

    assert "two sinks" in str(rig.pipeline.failure)
    assert expects_error_log == ["halted"]
    other.close()


def test_an_operators_rewind_reaches_an_idle_replica(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0)
    rig.steps()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM trades"))
        connection.execute(text("UPDATE sink.positions SET next_offset = 2"))

    rig.steps(12)

    assert ids(engine) == [2, 3, 4, 5]


def test_an_unmarked_commit_rewinds_once(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.assign(0)
    rig.steps()
    log.lose(0)
    rig.steps(1)
    log.commits[0] = Committed(offset=4, marked=False)
    log.assign(0)

    rig.steps()

    with engine.connect() as connection:
        kinds = list(connection.scalars(text("SELECT kind FROM sink.flushes ORDER BY id")))
    assert kinds == ["flush", "rewind", "flush"]
    assert log.commits[0] == Committed(offset=6, marked=True)


@pytest.mark.parametrize("left_behind", [{0: Committed(offset=4, marked=True)}, {}])
def test_a_commit_that_the_last_owner_left_behind_is_brought_up_without_a_message(
    rig: Rig, log: FakeLog, left_behind: dict[int, Committed]
) -> None:
    log.assign(0)
    rig.steps()
    log.lose(0)
    rig.steps(1)
    log.commits = left_behind
    log.assign(0)

    rig.steps()

    assert log.commits == {0: Committed(offset=6, marked=True)}


def test_a_partition_that_never_had_a_message_is_not_committed(rig: Rig, log: FakeLog) -> None:
    log.told[0].clear()
    log.assign(0)
    rig.steps()
    assert log.commits == {}


def test_fault_36_offsets_gone_from_kafka_halt_the_partition_and_name_the_range(
    rig: Rig, log: FakeLog, engine: Engine, expects_error_log: list[str]
) -> None:
    log.assign(0, 1)
    rig.steps()
    log.lose(0)
    rig.steps(1)
    log.told[0] = partition_of(0, range(20, 25))
    log.log_starts[0] = 20
    log.assign(0)

    rig.steps()

    halted = rig.pipeline.assignment[0]
    assert halted.state is State.HALTED
    assert "[6, 20) is gone" in halted.reason
    assert ids(engine) == [0, 1, 2, 3, 4, 5, 1000, 1001, 1005, 1009]
    assert expects_error_log == ["partition halted"]


def test_fault_36_offsets_gone_from_kafka_are_skipped_where_that_is_set(
    writer_url: str, log: FakeLog, engine: Engine, expects_error_log: list[str]
) -> None:
    rig = Rig(writer_url, log, Options(max_age=0.0, skip_lost=True))
    log.assign(0, 1)
    rig.steps()
    log.lose(0, 1)
    rig.steps(1)
    log.told = {0: partition_of(0, range(20, 25)), 1: partition_of(1, range(30, 33))}
    log.log_starts = {0: 20, 1: 30}
    log.assign(0, 1)

    rig.steps(20)

    assert set(ids(engine)) > {20, 24, 1030, 1032}
    assert chain_is_whole(engine)
    assert expects_error_log == ["messages are gone from Kafka"] * 2
    rig.flusher.close()


def test_a_topic_full_of_rubbish_trips_the_breaker(rig: Rig, log: FakeLog, expects_error_log: list[str]) -> None:
    log.told = {0: [Told(partition=0, offset=n, trade_id=None) for n in range(40)]}
    log.assign(0)

    rig.steps()

    assert "cannot become rows (decode 40)" in str(rig.pipeline.failure)
    assert log.commits == {}
    assert expects_error_log == ["halted"]


def test_messages_that_only_the_flush_refuses_trip_the_breaker_after_one_batch(
    writer_url: str, log: FakeLog, engine: Engine, expects_error_log: list[str]
) -> None:
    log.told = {0: [Told(partition=0, offset=n, trade_id=n, side="neither") for n in range(200)]}
    rig = Rig(writer_url, log, Options(max_age=0.0, max_rows=30))
    log.assign(0)

    rig.steps()

    assert "30 of the last 30 messages cannot become rows (rejected 30)" in str(rig.pipeline.failure)
    assert rig.pipeline.breaker.is_open
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sink.quarantine")) == 30
    assert expects_error_log == ["halted"]
    rig.flusher.close()


def test_fault_35_a_topic_that_kafka_calls_missing_halts(rig: Rig, log: FakeLog, expects_error_log: list[str]) -> None:
    log.assign(0)
    rig.steps(1)
    log.faults = [LogFault(kind="topic_missing", partition=None, error="gone")]

    rig.steps(1)

    assert "sink topics apply" in str(rig.pipeline.failure)
    assert expects_error_log == ["halted"]


def test_kafka_that_answers_no_questions_is_asked_again(rig: Rig, log: FakeLog, engine: Engine) -> None:
    log.silent = True
    log.assign(0)
    rig.steps(10)
    assert ids(engine) == []

    log.silent = False
    rig.steps(60)
    assert ids(engine) == [0, 1, 2, 3, 4, 5]


def test_draining_flushes_what_is_collected(writer_url: str, log: FakeLog, engine: Engine) -> None:
    rig = Rig(writer_url, log, Options(max_age=1000))
    log.assign(0, 1)
    rig.steps()

    rig.pipeline.drain(rig.now + 10)

    assert ids(engine) == everything(log)
    assert log.commits[0].offset == 6
    rig.flusher.close()
