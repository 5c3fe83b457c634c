"""What a status makes of made-up answers, how it is drawn and written, and how silent servers are waited for."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from sink.cli.status import document, follow
from sink.cli.status_view import size, sparkline, view
from sink.db.standing import Entered, Progress, Quarantined, Stood, Stored
from sink.errors import SinkError, TransientError
from sink.inspection.asking import Answer, Asked
from sink.inspection.status import KafkaTold, KafkaView, Status, TableView, spread, together
from sink.inspection.status_asked import Remembered
from sink.kafka.log import Committed
from sink.kafka.standing import GroupStanding, Member, TopicStanding
from sink.ledger import Source

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
SOURCES = {"trades": Source(sink_id="sink.trades", topic="market.trades")}
AWAY = TransientError("nobody answers; start it")


def entry(*, opened: float, committed: float, messages: int, quarantined: int = 0) -> Entered:
    """Make an entry of the ledger; times are seconds ago."""
    return Entered(
        partition=0,
        opened_at=NOW - timedelta(seconds=opened),
        committed_at=NOW - timedelta(seconds=committed),
        messages=messages,
        rows_written=messages - quarantined,
        rows_not_newer=0,
        rows_deduplicated=0,
        ignored=0,
        late=0,
        quarantined=quarantined,
        last_event_at=NOW - timedelta(seconds=committed),
    )


def stood(next_offset: int, owner: str = "host/1") -> Stood:
    return Stood(next_offset=next_offset, topic_id="t", owner=owner, claimed_at=NOW, updated_at=NOW)


KAFKA = KafkaTold(
    cluster_id="c",
    views={
        "trades": KafkaView(
            topic=TopicStanding(name="market.trades", topic_id="t", logs={0: (0, 150), 1: (20, 50), 2: (0, 0)}),
            commits={0: Committed(offset=90, marked=True), 1: Committed(offset=7, marked=False)},
            group=GroupStanding(
                name="sink.trades",
                state="stable",
                members=[Member(client_id="a", host="h", partitions=frozenset({("market.trades", 0)}))],
            ),
        )
    },
)
TABLE = TableView(
    progress=Progress(
        now=NOW,
        cluster_id="c",
        positions={0: stood(100), 1: stood(10, "host/2")},
        entries=[entry(opened=30, committed=10, messages=600, quarantined=60)],
    ),
    newest=NOW - timedelta(seconds=4),
    quarantined=Quarantined(waiting=61, last_hour=60),
    stored=Stored(chunks=3, size=2_500_000, oldest=NOW - timedelta(days=9), retain=timedelta(days=30)),
)


def told(kafka: Answer[KafkaTold] | None = None, tables: Answer[Mapping[str, TableView]] | None = None) -> Status:
    return together(
        SOURCES, kafka or Answer(value=KAFKA), tables or Answer(value={"trades": TABLE}), now=NOW + timedelta(hours=1)
    )


def drawn(status: Status, *, height: int | None = None, width: int = 150) -> str:
    console = Console(file=io.StringIO(), width=width, record=True, color_system=None)
    lags = {"trades": [0, 4, 8]}
    console.print(view(status, database="market", lags=lags, breaker=0.5, width=width, height=height))
    return console.export_text()


def test_lag_owner_rate_and_freshness_come_from_both_servers() -> None:
    (one,) = told().datasets
    assert [part.lag for part in one.parts] == [50, 30, 0]  # what retention took of partition 1 is no lag
    assert one.lag == 80
    assert [part.member for part in one.parts] == [True, False, False]
    assert [part.owner for part in one.parts] == ["host/1", "host/2", None]
    assert one.rate == 10.0
    assert one.age == timedelta(seconds=4)
    assert one.bad_share == 0.1
    assert one.horizon == NOW - timedelta(days=30)
    assert told().at == NOW, "the database's clock"


def test_a_server_that_is_away_leaves_blanks_and_its_reason() -> None:
    without_kafka = told(kafka=Answer(error=AWAY))
    (one,) = without_kafka.datasets
    assert (one.lag, one.parts[0].log_end, one.parts[0].lag, one.parts[0].position) == (None, None, None, 100)
    assert "Kafka: nobody answers; start it" in drawn(without_kafka)

    without_database = told(tables=Answer(error=AWAY))
    (one,) = without_database.datasets
    assert (one.lag, one.rate, one.stored, one.parts[0].log_end, one.parts[0].position) == (None, None, None, 150, None)
    assert "database: nobody answers; start it" in drawn(without_database)
    assert without_database.at == NOW + timedelta(hours=1)

    neither = told(kafka=Answer(error=AWAY), tables=Answer(error=AWAY))
    assert neither.datasets[0].parts == []
    assert json.dumps(document(neither))


def test_positions_that_mean_something_else_are_told() -> None:
    moved = replace(TABLE, progress=replace(TABLE.progress, cluster_id="other", positions={0: stood(3)}))
    anew = replace(TABLE, progress=replace(TABLE.progress, positions={0: replace(stood(3), topic_id="old")}))
    never = replace(TABLE, progress=replace(TABLE.progress, cluster_id=None, positions={}))
    notes = [" ".join(told(tables=Answer(value={"trades": one})).datasets[0].notes) for one in (moved, anew, never)]
    assert "Kafka cluster other" in notes[0]
    assert "made anew" in notes[1]
    assert "never run" in notes[2]


@pytest.mark.parametrize(
    ("opened", "committed", "parts"),
    [
        (20, 10, [0.0, 0.0, 6.0, 0.0]),  # within the third quarter of 40 seconds
        (25, 15, [0.0, 3.0, 3.0, 0.0]),  # half and half
        (60, 20, [1.5, 1.5, 0.0, 0.0]),  # half of it before the window
        (5, 5, [0.0, 0.0, 0.0, 6.0]),  # one flush
        (0, 0, [0.0, 0.0, 0.0, 6.0]),  # at this moment
        (90, 80, [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_messages_count_evenly_between_the_first_and_the_last_flush_of_an_entry(
    opened: float, committed: float, parts: list[float]
) -> None:
    found = spread([entry(opened=opened, committed=committed, messages=60)], NOW, seconds=40, buckets=4)
    assert found == pytest.approx(parts)


def flushed(*times: tuple[int, float, float, float] | None) -> Status:
    """Give a status whose ledger has an entry for each; None is one that tells no times."""
    plain = entry(opened=30, committed=10, messages=1)
    entries = [
        plain
        if one is None
        else replace(plain, flushes=one[0], filled_seconds=one[1], waited_seconds=one[2], written_seconds=one[3])
        for one in times
    ]
    table = replace(TABLE, progress=replace(TABLE.progress, entries=entries))
    return told(tables=Answer(value={"trades": table}))


def test_the_time_of_the_last_flushes_is_split() -> None:
    found = flushed((30, 3.0, 0.6, 2.4), None, (10, 3.0, 0.2, 0.8))
    assert "trades: a flush takes 0.25 s ████████████▓▓░░░░░░ 60% filling, 8% waiting for the writer, 32% writing" in (
        drawn(found)
    )
    (one,) = json.loads(json.dumps(document(found)))["datasets"]
    assert one["flush_seconds"] == {"filled": 0.15, "waited": 0.02, "written": 0.08}


def test_entries_without_times_draw_no_split() -> None:
    """So is the ledger of the version before, and of a database that has not been migrated."""
    found = flushed(None)
    assert "a flush takes" not in drawn(found)
    assert document(found)["datasets"][0]["flush_seconds"] is None  # type: ignore[index]  # a document is made of objects


def test_the_view_says_what_an_operator_asks() -> None:
    text = drawn(told())
    for words in (
        "2026-06-02 12:00:00 UTC",
        "4 s ago",
        "2.5 MB",
        "2026-05-03",
        "1 member",
        "(host/2)",
        "owners in brackets",
        "7 (not ours)",
        "600 messages in 5 min: 540 written, 60 quarantined",
        "10.0% of them bad; the breaker halts at 50%",
    ):
        assert words in text
    narrow = drawn(told(), width=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "trades " in narrow
    assert "..." not in narrow


def test_partitions_that_do_not_fit_are_counted_and_those_that_lag_most_stay() -> None:
    logs = {number: (0, 100 + number) for number in range(64)}
    topic = TopicStanding(name="market.trades", topic_id="t", logs=logs)
    many = replace(KAFKA, views={"trades": KafkaView(topic=topic)})
    text = drawn(told(kafka=Answer(value=many)), height=24)
    assert len(text.splitlines()) <= 24
    assert "and " in text
    assert "none with a lag above" in text
    assert "163" in text
    assert text.index("162") < text.index("163"), "in the order of partitions"


def test_the_course_and_sizes_are_drawn() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▂▅█"
    assert sparkline([0, 0]) == "  "
    assert [size(count) for count in (0, 999, 1500, 3_200_000_000_000_000)] == ["0 B", "999 B", "1.5 kB", "3200.0 TB"]


def test_the_json_has_the_documented_shape() -> None:
    shape = document(told())
    assert set(shape) == {"at", "kafka", "database", "datasets"}
    (one,) = json.loads(json.dumps(shape))["datasets"]
    assert set(one) == {
        *("dataset", "sink_id", "topic", "group", "lag", "rate", "rates", "newest_event_at", "freshness_seconds"),
        *("last_five_minutes", "flush_seconds", "quarantine", "storage", "notes", "partitions"),
    }
    assert one["quarantine"] == {"waiting": 61, "last_hour": 60, "share": 0.1}
    assert one["storage"]["retention_days"] == 30
    assert one["partitions"][1] == {
        "partition": 1,
        "owner": "host/2",
        "in_group": False,
        "position": 10,
        "log_start": 20,
        "log_end": 50,
        "lag": 30,
        "kafka_commit": 7,
        "kafka_commit_ours": False,
        "claimed_at": NOW.isoformat(),
        "updated_at": NOW.isoformat(),
        "newest_event_at": None,
    }


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_silent_server_keeps_its_last_answer_for_a_while_and_is_asked_again_in_the_end() -> None:
    clock, silent, looks = Clock(), threading.Event(), 0

    def look() -> int:
        nonlocal looks
        looks += 1
        if looks == 2:
            silent.wait(30)
        return looks

    asked = Asked("Kafka", look, patience=5, clock=clock)
    asked.begin()
    assert asked.answer(10) == Answer(value=1)
    asked.begin()
    assert asked.answer(0.01) == Answer(value=1), "it may still come"
    clock.now = 6
    asked.begin()
    answer = asked.answer(0.01)
    assert (answer.value, str(answer.error)) == (None, "Kafka has not answered for 6 s")
    assert looks == 2, "no second question while one is under way"
    clock.now = 50
    asked.begin()
    assert asked.answer(10) == Answer(value=3)
    silent.set()


def test_a_reason_is_an_answer_and_a_fault_of_ours_is_raised() -> None:
    def fail(error: Exception) -> Asked[int]:
        def look() -> int:
            raise error

        asked = Asked("it", look, patience=5)
        asked.begin()
        return asked

    error: SinkError = AWAY
    assert fail(error).answer(10) == Answer(error=AWAY)
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError()).answer(10)


def test_costly_answers_are_kept_for_a_while_and_failures_are_not() -> None:
    clock = Clock()
    kept = Remembered[int](10, clock)
    with pytest.raises(TransientError):
        kept.get(_fails)
    assert kept.get(lambda: 1) == 1
    clock.now = 9
    assert kept.get(lambda: 2) == 1
    clock.now = 10
    assert kept.get(lambda: 3) == 3


def _fails() -> int:
    raise AWAY


def test_the_view_is_refreshed_until_it_is_told_to_stop() -> None:
    stop, refreshed = threading.Event(), []

    def refresh() -> None:
        refreshed.append(1)
        if len(refreshed) == 3:
            stop.set()

    follow(refresh, every=0.0, stop=stop, clock=Clock())
    assert len(refreshed) == 3
