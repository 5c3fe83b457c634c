"""When housekeeping does what, and what it says; the database's part is tests/integration/test_housekeeping.py."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from sink import metrics
from sink.db.standing import Quarantined, Stored
from sink.db.upkeep import Dropped, Upkeep
from sink.errors import SinkError, TransientError
from sink.housekeeping import JITTER, MEASURE_EVERY, SOON, Housekeeper, Schedule
from sink.ledger import Source

EVERY = 3600.0
NOW = 1_790_000_000.0
SOURCES = {"trades": Source(sink_id="sink.trades", topic="market.trades")}
OLDEST = datetime(2026, 8, 1, tzinfo=UTC)


class Answering(Upkeep):
    """Answers without a database; raises ``failure`` while there is one."""

    def __init__(self) -> None:
        super().__init__("postgresql+psycopg://nobody@nowhere/none", application_name="test")
        self.asked: Counter[str] = Counter()
        self.dropped = Dropped(outcome="done")
        self.oldest: datetime | None = OLDEST
        self.failure: Exception | None = None

    def _count(self, what: str) -> None:
        self.asked[what] += 1
        if self.failure is not None:
            raise self.failure

    def drop_expired(self, table: str) -> Dropped:
        self._count(f"drop {table}")
        return self.dropped

    def prune_flushes(self, *, sink_id: str, topic: str, keep: timedelta) -> int:
        self._count(f"prune {sink_id} {topic} {keep.days}")
        return 7

    def measured(self, table: str) -> Stored | None:
        self._count(f"measure {table}")
        return Stored(chunks=3, size=4096, oldest=self.oldest, retain=timedelta(days=30))

    def quarantined(self, *, sink_id: str, topic: str) -> Quarantined:
        self._count(f"quarantine {sink_id} {topic}")
        return Quarantined(waiting=5, last_hour=1)


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def upkeep() -> Answering:
    return Answering()


@pytest.fixture
def clock() -> Time:
    return Time()


def keeper(upkeep: Upkeep, clock: Time, *, every: float | None = EVERY, days: int | None = 400) -> Housekeeper:
    return Housekeeper(
        SOURCES,
        upkeep,
        Schedule(every=every, keep_ledger=None if days is None else timedelta(days=days)),
        clock=clock,
        now=lambda: NOW,
        dice=random.Random(1),
    )


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, {"dataset": "trades", **labels}) or 0.0


def runs(outcome: str) -> float:
    return value("sink_retention_runs_total", outcome=outcome)


def test_everything_is_done_soon_after_the_start_and_then_on_schedule(upkeep: Answering, clock: Time) -> None:
    """Chunks are not dropped at once: replicas that are started together would all want to."""
    kept = keeper(upkeep, clock)
    kept.turn()
    assert upkeep.asked == {"measure trades": 1, "quarantine sink.trades market.trades": 1}
    clock.seconds += SOON
    kept.turn()
    assert upkeep.asked["drop trades"] == upkeep.asked["prune sink.trades market.trades 400"] == 1
    clock.seconds += EVERY * (1 - JITTER) - 1
    kept.turn()
    assert upkeep.asked["drop trades"] == 1
    clock.seconds += EVERY * 2 * JITTER + 1
    kept.turn()
    assert upkeep.asked["drop trades"] == 2


def test_tables_are_measured_each_minute(upkeep: Answering, clock: Time) -> None:
    kept = keeper(upkeep, clock)
    for _ in range(5):
        kept.turn()
        clock.seconds += MEASURE_EVERY * (1 + JITTER)
    assert upkeep.asked["measure trades"] == 5
    assert value("sink_table_bytes") == 4096
    assert value("sink_table_chunks") == 3
    assert value("sink_table_oldest_timestamp_seconds") == OLDEST.timestamp()
    assert value("sink_quarantine_waiting") == 5


def test_a_table_without_chunks_has_no_oldest(upkeep: Answering, clock: Time) -> None:
    upkeep.oldest = None
    keeper(upkeep, clock).turn()
    assert value("sink_table_oldest_timestamp_seconds") != value("sink_table_oldest_timestamp_seconds"), "not a number"


def test_what_was_dropped_is_logged_and_counted(upkeep: Answering, clock: Time) -> None:
    upkeep.dropped = Dropped(outcome="done", chunks=["_hyper_1_1_chunk", "_hyper_1_2_chunk"])
    kept, before, chunks = keeper(upkeep, clock), runs("done"), value("sink_retention_dropped_chunks_total")
    clock.seconds += SOON
    with capture_logs() as logged:
        kept.turn()
    assert runs("done") == before + 1
    assert value("sink_retention_dropped_chunks_total") == chunks + 2
    assert value("sink_retention_last_run_timestamp_seconds") == NOW
    assert [entry["chunks"] for entry in logged if "chunks" in entry] == [["_hyper_1_1_chunk", "_hyper_1_2_chunk"]]
    assert [entry["entries"] for entry in logged if "entries" in entry] == [7]


@pytest.mark.parametrize("outcome", ["locked_elsewhere", "policy"])
def test_retention_that_others_do_is_no_run_of_ours(upkeep: Answering, clock: Time, outcome: str) -> None:
    upkeep.dropped = Dropped(outcome="policy" if outcome == "policy" else "locked_elsewhere")
    kept, done, elsewhere = keeper(upkeep, clock), runs("done"), runs("locked_elsewhere")
    clock.seconds += SOON
    kept.turn()
    assert runs("done") == done
    assert runs("locked_elsewhere") == elsewhere + (outcome == "locked_elsewhere")


def test_a_ledger_that_is_kept_for_ever_is_not_pruned(upkeep: Answering, clock: Time) -> None:
    kept = keeper(upkeep, clock, days=None)
    clock.seconds += SOON
    kept.turn()
    assert upkeep.asked["drop trades"] == 1
    assert not [name for name in upkeep.asked if name.startswith("prune")]


def test_cleaning_can_be_switched_off(upkeep: Answering, clock: Time) -> None:
    """For a while, as where old data is filled in beside live replicas; tables are measured all the same."""
    kept = keeper(upkeep, clock, every=None)
    clock.seconds += SOON
    kept.turn()
    assert upkeep.asked == {"measure trades": 1, "quarantine sink.trades market.trades": 1}


def test_a_failure_is_told_once_and_tried_again(upkeep: Answering, clock: Time) -> None:
    """The database being away is one line of the log, not one a minute, and once more when it goes away again."""
    kept, failed = keeper(upkeep, clock), runs("failed")
    told: list[int] = []
    for failure in (TransientError("away"), TransientError("away"), None, TransientError("away")):
        upkeep.failure = failure
        clock.seconds += EVERY * (1 + JITTER)
        with capture_logs() as logged:
            kept.turn()
        told.append(len([entry for entry in logged if entry["log_level"] == "warning"]))
    assert told == [3, 0, 0, 3]
    assert runs("failed") == failed + 3
    assert upkeep.asked["drop trades"] == upkeep.asked["measure trades"] == 4


def test_a_fault_of_our_own_ends_nothing(upkeep: Answering, clock: Time) -> None:
    kept = keeper(upkeep, clock)
    clock.seconds += SOON
    upkeep.failure = ZeroDivisionError()
    with capture_logs() as logged:
        kept.turn()
    assert {entry["log_level"] for entry in logged} == {"error"}
    upkeep.failure = None
    clock.seconds += MEASURE_EVERY * (1 + JITTER)
    kept.turn()
    assert upkeep.asked["measure trades"] == 2


def test_it_stops_when_told(upkeep: Answering, clock: Time) -> None:
    stop = threading.Event()

    class Stopping(Housekeeper):
        def turn(self) -> None:
            super().turn()
            stop.set()

    schedule = Schedule(every=EVERY, keep_ledger=None)
    Stopping(SOURCES, upkeep, schedule, clock=clock, now=lambda: NOW, dice=random.Random(1)).run(stop)
    assert upkeep.asked["measure trades"] == 1


def test_errors_of_every_kind_are_the_sinks() -> None:
    """A warning is for SinkError only, which is what Upkeep raises where the server cannot be reached."""
    with pytest.raises(SinkError):
        Upkeep("postgresql+psycopg://nobody@127.0.0.1:1/none", application_name="test").measured("trades")
