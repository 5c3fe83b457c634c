"""``sink status`` on real servers: as the reader, beside a running sink, and with a server away."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import make_url

from sink.errors import TransientError
from sink.inspection.asking import Answer
from sink.inspection.status import DatasetStatus, together
from sink.inspection.status_asked import AskedDatabase, ask_kafka
from sink.kafka.standing import Brokers
from sink.ledger import Source
from sink.producing.simulator import Plan, simulate
from tests.black_hole import wire_to
from tests.fix_sink import Market, wait_until

COUNT = 200
PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=10),
    symbols=tuple(f"S{number}" for number in range(8)),
    trades=COUNT,
    datasets=frozenset({"trades"}),
)
NOWHERE = "127.0.0.1:9"


class Onlooker:
    """Looks at a market's trades with the reader's login."""

    def __init__(self, market: Market) -> None:
        self.sources = {"trades": Source(sink_id=f"{market.group}.trades", topic=market.topic("trades"))}
        self.brokers = Brokers({"bootstrap.servers": market.servers.bootstrap_servers}, timeout=10)
        self.database = AskedDatabase(market.url_of("sink_reader"), self.sources, timeout=10)

    def look(self) -> DatasetStatus:
        told = Answer(value=ask_kafka(self.brokers, self.sources)), Answer(value=self.database.look())
        (one,) = together(self.sources, *told, now=datetime.now(UTC)).datasets
        return one


def test_the_reader_sees_a_running_sink_and_either_server_may_be_away(market: Market) -> None:
    market.send("trades", [b"rubbish"])
    market.produce(simulate(PLAN))
    onlooker = Onlooker(market)
    before = onlooker.look()
    assert (before.lag, before.notes) == (COUNT + 1, [f"{market.group}.trades has never run on this database"])

    with market.start("run", "trades") as process:
        process.until(lambda: market.durable() == COUNT + 1, "all is durable")
        wait_until(lambda: all(part.member for part in onlooker.look().parts), "Kafka's group has its member")

        def commits_follow() -> bool:
            return all(
                part.commit is not None and part.commit.marked and part.commit.offset == part.position
                for part in onlooker.look().parts
                if part.position
            )

        wait_until(commits_follow, "Kafka's commits follow")
        one = Onlooker(market).look()
    assert one.lag == 0
    assert {part.owner for part in one.parts} == {f"{(one.parts[0].owner or '').rpartition('/')[0]}/{process.pid}"}
    assert one.counts is not None
    assert (one.counts["messages"], one.counts["rows_written"], one.counts["quarantined"]) == (COUNT + 1, COUNT, 1)
    assert one.quarantined is not None
    assert (one.quarantined.waiting, one.quarantined.last_hour) == (1, 1)
    assert one.split is not None
    assert one.split.written > 0
    assert sum(one.rates) > 0
    assert one.stored is not None
    assert one.stored.chunks == 1
    assert one.stored.size > 0
    assert one.stored.retain == timedelta(days=30)
    assert [(one.newest,)] == market.rows("SELECT max(trade_ts) FROM trades")
    assert one.group is not None
    assert len(one.group.members) == 1

    reader = {"DATABASE_URL": market.url_of("sink_reader")}
    without_kafka = market.sink("status", "--once", SINK_KAFKA__BOOTSTRAP_SERVERS=NOWHERE, **reader)
    assert without_kafka.returncode == 3
    assert f"Kafka: no broker answers at {NOWHERE}" in without_kafka.stdout
    assert str(process.pid) in without_kafka.stdout, "what the database told is shown"

    without_database = market.sink("status", "trades", "--json", DATABASE_URL=f"postgresql://nobody@{NOWHERE}/x")
    assert without_database.returncode == 3
    told = json.loads(without_database.stdout)
    assert f"no database server answers at {NOWHERE}" in told["database"]["error"]
    assert sum(part["log_end"] for part in told["datasets"][0]["partitions"]) == COUNT + 1
    assert "Traceback" not in without_kafka.stderr + without_database.stderr


def test_a_topic_that_is_missing_is_a_note_of_its_dataset(market: Market) -> None:
    sources = {"trades": Source(sink_id=market.group, topic=f"{market.prefix}nothing")}
    told = ask_kafka(Onlooker(market).brokers, sources)
    assert "the topic does not exist; create it with: sink topics apply" in told.views["trades"].notes[0]


def test_brokers_that_are_away_or_silent_end_the_question(market: Market) -> None:
    sources = Onlooker(market).sources
    with pytest.raises(TransientError):
        ask_kafka(Brokers({"bootstrap.servers": NOWHERE}, timeout=1), sources)
    host, _, port = market.servers.bootstrap_servers.rpartition(":")
    with wire_to(host, int(port)) as wire:
        wire.freeze()
        with pytest.raises(TransientError):
            ask_kafka(Brokers({"bootstrap.servers": f"127.0.0.1:{wire.port}"}, timeout=1), sources)


def test_a_database_that_goes_away_between_two_looks_is_told(market: Market) -> None:
    url = make_url(market.url_of("sink_reader"))
    with wire_to(url.host or "", url.port or 5432) as wire:
        through = url.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
        database = AskedDatabase(through, Onlooker(market).sources, timeout=10)
        assert database.look()
        wire.close()
        with pytest.raises(TransientError, match="no database server answers at 127"):
            database.look()
