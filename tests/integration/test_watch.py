"""What a watched loop does is counted, shown as gauges, and gone from them when it is no longer ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from sink import metrics
from sink.errors import DefinitionError, OversizeError, TransientError
from sink.kafka.contact import Contact
from sink.observed import Observed
from sink.pipeline import Options
from sink.watch import EVERY, Watch
from tests.build import Told
from tests.fake_log import FakeLog, partition_of
from tests.rig import Rig


class Ends:
    """Tells the ends of a fake log, as far as a test lets it."""

    def __init__(self, log: FakeLog) -> None:
        self.contact = Contact()
        self.log = log
        self.known = True

    def heard_end(self, partition: int) -> int | None:
        return self.log.end(partition) if self.known else None


@dataclass(slots=True)
class Watched:
    """A rig, and the watch over its pipeline."""

    rig: Rig
    watch: Watch
    ends: Ends

    def steps(self, count: int = 6) -> None:
        for _ in range(count):
            self.rig.steps(1)
            self.watch.stepped()


def value(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, {"dataset": "trades", **labels})


class Counted:
    """How much counters have grown since this was made: they are the process's, and other tests count too."""

    def __init__(self) -> None:
        self._before = self._now()

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, tuple(sorted({"dataset": "trades", **labels}.items())))
        return self._now().get(key, 0.0) - self._before.get(key, 0.0)

    @staticmethod
    def _now() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in metrics.REGISTRY.collect()
            for sample in family.samples
        }


@pytest.fixture
def log() -> FakeLog:
    return FakeLog(told={0: partition_of(0, range(6)), 1: partition_of(1, [0, 1, 5, 9])})


@pytest.fixture
def watched(writer_url: str, log: FakeLog) -> Iterator[Watched]:
    observed = Observed("trades")
    rig = Rig(writer_url, log, Options(max_age=0.0, positions_every=1.0), observer=observed)
    ends = Ends(log)
    watch = Watch(
        dataset="trades",
        group="sink.trades",
        topic="market.trades",
        observed=observed,
        pipeline=rig.pipeline,
        consumer=ends,
        database=rig.flusher,
        registry=None,
        clock=lambda: rig.now,
    )
    yield Watched(rig, watch, ends)
    rig.flusher.close()


def test_messages_rows_and_stages_are_counted_once_each(watched: Watched, log: FakeLog) -> None:
    now = datetime.now(UTC)
    log.told[0] += [
        replace(log.told[0][0], offset=6, price="2"),  # the same trade again: one of the two gives way
        Told(partition=0, offset=7, trade_id=None),
        Told(partition=0, offset=8, trade_id=8, trade_ts=now - timedelta(seconds=40)),
    ]
    counted = Counted()
    log.assign(0, 1)

    watched.steps()

    assert counted("sink_messages_total") == 13
    assert counted("sink_rows_total", outcome="written") == 11
    assert counted("sink_rows_total", outcome="deduplicated") == 1
    assert counted("sink_quarantined_messages_total", reason="decode") == 1
    assert counted("sink_rebalances_total", event="assigned") == 1
    assert counted("sink_flush_seconds_count") == 1
    assert counted("sink_batch_messages_sum") == 13
    for stage in ("prepare", "wait", "write", "commit"):
        assert counted("sink_stage_seconds_count", stage=stage) == 1, stage
    spent = [counted("sink_stage_seconds_sum", stage=stage) for stage in ("write", "commit")]
    assert counted("sink_flush_seconds_sum") == pytest.approx(sum(spent))
    assert min(spent) > 0
    assert counted("sink_stage_seconds_count", stage="decode") == 1
    assert counted("sink_stage_seconds_count", stage="poll") == 6
    assert counted("sink_freshness_seconds_count") == 2, "the newest event of each partition"
    assert value("sink_newest_event_timestamp_seconds") == pytest.approx((now - timedelta(seconds=40)).timestamp())
    view = watched.watch.view
    assert view.freshness_seconds == pytest.approx(40, abs=30)
    assert (view.messages, view.rows_written, view.quarantined[0].reason) == (13, 11, "decode")
    assert [(flush.messages, flush.write > 0) for flush in view.flushes] == [(13, True)]


def test_a_second_time_every_row_is_not_newer(watched: Watched, log: FakeLog) -> None:
    log.assign(0)
    watched.steps()
    log.told[0] += [replace(told, offset=told.offset + 10) for told in partition_of(0, range(6))]
    counted = Counted()

    watched.steps()

    # the same record time at a later offset is a later version
    assert counted("sink_rows_total", outcome="written") + counted("sink_rows_total", outcome="not_newer") == 6
    assert counted("sink_messages_total") == 6


def test_positions_ends_and_lag_are_shown_and_gone_with_the_partition(watched: Watched, log: FakeLog) -> None:
    watched.ends.contact.hear(
        json.dumps({"brokers": {}, "topics": {"t": {"partitions": {"1": {"committed_offset": 7}}}}})
    )
    log.assign(0, 1)
    watched.steps()
    log.ends = {0: 9}
    log.pause([0])  # what comes now is not read

    watched.steps(1)
    watched.steps(3)

    assert value("sink_position_offset", partition="0") == 6
    assert value("sink_log_end_offset", partition="0") == 9
    assert value("sink_lag_messages", partition="0") == 3
    # nobody has read the record at the position: what counts is for how long it has stood still there
    assert value("sink_lag_seconds", partition="0") == pytest.approx(0, abs=10)
    assert value("sink_lag_messages", partition="1") == 0
    assert value("sink_lag_seconds", partition="1") == 0
    assert value("sink_committed_offset", partition="1") == 7
    assert value("sink_committed_offset", partition="0") is None, "Kafka has none"
    assert value("sink_partitions", state="reading") == 2

    log.revoke(0)
    watched.steps(2)

    assert value("sink_lag_messages", partition="0") is None
    assert value("sink_position_offset", partition="0") is None
    assert value("sink_lag_messages", partition="1") == 0
    assert value("sink_partitions", state="reading") == 1


def test_a_log_end_that_nobody_has_told_is_absent_and_no_lag_of_0(watched: Watched, log: FakeLog) -> None:
    watched.ends.known = False
    log.assign(0)
    watched.steps()
    assert value("sink_position_offset", partition="0") == 6
    assert value("sink_lag_messages", partition="0") is None
    assert watched.watch.view.partitions[0].lag_messages is None
    log.revoke(0)
    watched.steps(2)


def test_the_lag_in_seconds_is_the_age_of_the_record_that_is_held(watched: Watched, log: FakeLog) -> None:
    old = datetime.now(UTC) - timedelta(minutes=5)
    log.told[0] = [replace(one, at=old) for one in partition_of(0, range(6))]
    watched.rig.flusher.errors = [TransientError("the database is away")] * 8
    log.assign(0)

    watched.steps()

    view = watched.watch.view
    assert view.lag_messages == 6
    assert view.lag_seconds == pytest.approx(300, abs=30)
    assert view.waiting_for == "the database is away"
    assert view.held_bytes > 0
    assert value("sink_held_bytes") == view.held_bytes
    watched.rig.flusher.errors = []
    watched.steps(60)
    assert (watched.watch.view.lag_seconds, watched.watch.view.waiting_for) == (0, None)
    log.revoke(0)
    watched.steps(2)


def test_retries_are_counted_by_sqlstate_and_fences_by_number(watched: Watched, log: FakeLog) -> None:
    counted = Counted()
    watched.rig.flusher.errors = [
        TransientError("deadlock", sqlstate="40P01"),
        TransientError("the connection was lost"),
        OversizeError("too much", sqlstate="54000"),
    ]
    log.assign(0)
    watched.steps(20)
    assert counted("sink_retries_total", sqlstate="40P01") == 1
    assert counted("sink_retries_total", sqlstate="none") == 1
    assert counted("sink_retries_total", sqlstate="54000") == 1
    assert counted("sink_messages_total") == 6

    other = Rig(watched.rig.url, FakeLog(told=log.told), owner="other")
    other.log.assign(0)
    other.steps()
    watched.steps(2)
    assert counted("sink_fences_total") == 1
    other.flusher.close()
    log.lose(0)
    watched.steps(2)
    assert counted("sink_rebalances_total", event="lost") == 1


def test_a_halt_is_shown_with_its_sentence(watched: Watched, log: FakeLog, expects_error_log: list[str]) -> None:
    watched.rig.flusher.errors = [DefinitionError("the table is gone; bring it back")]
    log.assign(0)
    watched.steps()

    watched.watch.enter("halted", watched.rig.pipeline.failure)

    assert expects_error_log
    assert value("sink_halted") == 1
    assert watched.watch.view.failure == "the table is gone; bring it back"
    assert watched.watch.silence() == 0, "it has ended on purpose"
    watched.watch.enter("running")
    assert value("sink_halted") == 0


def test_silence_grows_while_the_loop_makes_no_step(watched: Watched) -> None:
    watched.steps(1)
    assert watched.watch.silence() == 0
    watched.rig.now += 70
    assert watched.watch.silence() == 70


def test_the_history_has_a_point_for_every_five_seconds(watched: Watched, log: FakeLog) -> None:
    log.assign(0)
    watched.steps(int(11 / EVERY))
    first, second = watched.watch.view.history
    assert first.rate * 5 + second.rate * 5 == 6
    assert (first.freshness_seconds is None, second.freshness_seconds) == (False, None)
    log.revoke(0)
    watched.steps(2)


def test_a_fault_in_what_only_watches_stops_nothing(
    watched: Watched, log: FakeLog, expects_error_log: list[str]
) -> None:
    def broken(_partition: int) -> int:
        raise ZeroDivisionError

    watched.ends.heard_end = broken  # type: ignore[assignment,method-assign] # as a fault of ours would
    log.assign(0)
    watched.steps()
    assert watched.rig.pipeline.totals.messages == 6
    assert "the state of a dataset is not shown" in expects_error_log
