"""Servers that are away are waited for; what is missing is named with the command that mends it."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from sqlalchemy import make_url

from sink.avro.registry import Registry, RegistryAccess
from sink.producing.simulator import Plan, simulate
from tests.fix_sink import Market, Process

PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=5),
    trades=400,
    datasets=frozenset({"trades"}),
)
NOWHERE = "127.0.0.1:1"
JSON = {"SINK_LOG__FORMAT": "json"}


def produce_framed(market: Market, registry_url: str, seed: int) -> int:
    """Produce trades with Confluent's header."""
    registry = Registry(RegistryAccess(urls=(registry_url,)))
    plan = Plan(start=PLAN.start + timedelta(hours=seed), duration=PLAN.duration, trades=400, datasets=PLAN.datasets)
    with market.producer(registry) as producer:
        count = producer.produce_many(simulate(plan))
    registry.close()
    return count


def waits(process: Process, word: str) -> bool:
    return any(
        record["level"] == "warning" and "nothing is lost" in record["event"] and word in record["error"]
        for record in process.records()
    )


def test_fault_04_a_registry_that_is_away_loses_nothing(market: Market, registry_url: str) -> None:
    total = produce_framed(market, registry_url, seed=0)
    with market.start("run", "trades", **JSON, SINK_REGISTRY__URL=f"http://{NOWHERE}") as process:
        process.until(lambda: waits(process, "registry"), "the sink says that it waits")
        total += produce_framed(market, registry_url, seed=1)
        said = len(process.records())
        process.until(lambda: len(process.records()) > said, "the sink tries again")
        process.signal(signal.SIGTERM)
        assert process.end() == 0, process.output
        assert "Traceback" not in process.output
    assert market.durable() == 0
    assert market.rows("SELECT * FROM sink.quarantine") == []

    market.caught_up("trades", SINK_REGISTRY__URL=registry_url)

    assert len(market.table("trades")) == total == market.durable()
    market.check_ledger(messages=total)
    assert market.rows("SELECT * FROM sink.quarantine") == []


def test_fault_25_servers_away_at_start_are_waited_for(market: Market) -> None:
    away = make_url(market.writer_url).set(port=1, password="hunter2").render_as_string(hide_password=False)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        market.start("run", "trades", **JSON, DATABASE_URL=away) as without_server,
        market.start(
            "run",
            "trades",
            **JSON,
            DATABASE_URL=make_url(away).set(port=silent.getsockname()[1]).render_as_string(hide_password=False),
        ) as with_silent_server,
        market.start("run", "trades", **JSON, SINK_KAFKA__BOOTSTRAP_SERVERS=NOWHERE) as without_broker,
    ):
        without_server.until(lambda: waits(without_server, "database"), "the sink waits for the server")
        without_broker.until(lambda: waits(without_broker, "broker"), "the sink waits for the broker")
        with_silent_server.until(lambda: waits(with_silent_server, "does not answer"), "the sink gives up one try")
        for process in (without_server, with_silent_server, without_broker):
            process.signal(signal.SIGTERM)
        for process in (without_server, with_silent_server, without_broker):
            assert process.end() == 0, process.output
            assert {record["level"] for record in process.records()} <= {"info", "warning"}, process.output
            assert "Traceback" not in process.output
            assert "hunter2" not in process.output


def test_what_is_missing_is_named_with_what_mends_it(market: Market, empty_database_url: str) -> None:
    market.produce(simulate(PLAN))
    url = make_url(market.writer_url)
    nameless = url.set(database="sink_test_none").render_as_string(hide_password=False)
    nobody = url.set(username="sink_nobody", password="hunter2").render_as_string(hide_password=False)
    market.execute("REVOKE INSERT ON trades FROM sink_writer")
    cases: list[tuple[int, str, str, dict[str, str]]] = [
        (4, "sink migrate", "trades", {"DATABASE_URL": empty_database_url}),
        (4, "sink topics apply", "trades", {"SINK_TOPIC_PREFIX": f"{market.prefix}none."}),
        (4, "deploy/roles.sql", "trades", {}),
        (2, "make it with: createdb", "trades", {"DATABASE_URL": nameless}),
        (2, "the server refused sink_nobody", "trades", {"DATABASE_URL": nobody}),
        (2, "no.such.option", "trades", {"SINK_KAFKA__NO_SUCH_OPTION": "1"}),
        (2, "no dataset is called trade;", "trade", {}),
    ]
    with ExitStack() as started:
        ended = [
            (code, words, started.enter_context(market.start("run", dataset, **JSON, **variables)))
            for code, words, dataset, variables in cases
        ]
        for code, words, process in ended:
            assert process.end() == code, process.output
            last = process.output.splitlines()[-1]
            assert last.startswith("error: "), process.output
            assert words in last, process.output
            assert "Traceback" not in process.output
            assert "hunter2" not in process.output
    assert market.rows("SELECT * FROM sink.quarantine") == []
    assert market.durable() == 0
