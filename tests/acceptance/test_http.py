"""A real ``sink run``, asked over HTTP: metrics, health and status while services go and come back."""

from __future__ import annotations

import json
import re
import signal
import socket
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import make_url, text

from sink import metrics
from sink.avro.registry import Registry, RegistryAccess
from sink.producing.simulator import Plan, simulate
from sink.quarantine.cures import CURES
from tests.fix_database import plain_engine
from tests.fix_sink import Market, Markets, Process

JSON = {"SINK_LOG__FORMAT": "json"}
PLAN = Plan(
    start=datetime(2026, 6, 2, 12, tzinfo=UTC),
    duration=timedelta(minutes=5),
    trades=400,
    datasets=frozenset({"trades"}),
)
LATER = {one.name for one in metrics.SECTIONS["Housekeeping, each minute"] if "retention" in one.name} | {
    "sink_table_oldest_timestamp_seconds"
}
"""What retention does, and what stands in a table that was empty when measured: test_housekeeping looks at it."""
NOT_PROVOKED = {
    # those need a second owner, a retention that has passed, a message without a value
    "sink_fences_total",
    "sink_late_rows_total",
    "sink_ignored_messages_total",
    "sink_unknown_field_values_total",
    "sink_paused",
    "sink_halted",
    "sink_retries_total",
    "sink_lag_messages",
    "sink_lag_seconds",
    "sink_held_bytes",
    # measured before anything was in the tables
    "sink_table_bytes",
    "sink_table_chunks",
    "sink_quarantine_waiting",
}
"""What a healthy sink shows as 0."""


def address(process: Process) -> str:
    """Give where a process listens, once it has said so."""

    def said() -> list[str]:
        return [one["url"] for one in process.records() if one["event"] == "listening"]

    process.until(lambda: bool(said()), "it says where it listens")
    return said()[0].rstrip("/")


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def status(base: str) -> dict[str, Any]:
    """Give what /status says of the one dataset that runs."""
    code, body = ask(f"{base}/status")
    assert code == 200
    (dataset,) = json.loads(body)["datasets"]
    return dict(dataset)


def scraped(base: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Give every sample by name."""
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(ask(f"{base}/metrics")[1]):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return samples


def codes(base: str) -> list[str]:
    told = json.loads(ask(f"{base}/readyz")[1])
    return [reason["code"] for dataset in told["datasets"].values() for reason in dataset["reasons"]]


def test_a_running_sink_shows_every_metric_that_the_page_promises(market: Market, registry_url: str) -> None:
    registry = Registry(RegistryAccess(urls=(registry_url,)))
    with market.producer(registry) as producer:
        total = producer.produce_many(simulate(PLAN))
    registry.close()
    market.send("trades", [b"secret-payload"] * 3)
    with market.start("run", "trades", **JSON, SINK_REGISTRY__URL=registry_url) as process:
        base = address(process)
        process.until(lambda: status(base)["messages"] == total + 3, "everything is durable")
        # the group's commits are reported every five seconds
        process.until(lambda: any(one["commit"] for one in status(base)["partitions"]), "Kafka's commit is known")
        process.until(lambda: ask(f"{base}/readyz")[0] == 200, "it is ready")
        process.until(lambda: "sink_quarantine_waiting" in scraped(base), "the tables are measured")

        told = status(base)
        samples = scraped(base)

        assert ask(f"{base}/livez")[0] == 200
        page = ask(f"{base}/")[1] + json.dumps(told) + str(samples)
        assert "secret-payload" not in page
    assert told["rows_written"] + told["rows_deduplicated"] == total
    assert [(one["reason"], one["messages"]) for one in told["quarantined"]] == [("magic", 3)]
    assert (told["lag_messages"], told["lag_seconds"]) == (0, 0)
    assert told["connected"] == {"kafka": True, "database": True, "registry": True}
    assert sum(one["position"] for one in told["partitions"]) == total + 3
    assert all(one["commit"] in {one["position"], None} for one in told["partitions"])
    for one in (one for title, section in metrics.SECTIONS.items() for one in section):
        if one.name in LATER:
            continue
        name = f"{one.name}_count" if one.type == "histogram" else one.name
        assert name in samples, f"{name} is promised, and was not shown"
        if one.name not in NOT_PROVOKED:
            assert any(value > 0 for _, value in samples[name]), f"{name} counted nothing"
        labels = {label for found, _ in samples[name] for label in found}
        assert labels == set(one.labels), name
    assert ({"dataset": "trades"}, total + 3.0) in samples["sink_messages_total"]
    # counted from 0 on: an alert sees no increase in a series that begins with 1
    bad = {found["reason"]: value for found, value in samples["sink_quarantined_messages_total"]}
    assert bad == dict.fromkeys(CURES, 0.0) | {"magic": 3.0}
    spent = {found["stage"] for found, value in samples["sink_stage_seconds_sum"] if value > 0}
    assert spent >= {"poll", "decode", "prepare", "write", "commit"}


def test_a_database_that_is_away_makes_not_ready_and_its_return_ready_again(market: Market) -> None:
    total = market.produce(simulate(PLAN))
    server = plain_engine(market.servers.database_url)
    name = make_url(market.administrator_url).database

    def open_to_all(answer: str) -> None:
        with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {answer}'))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
            )

    with market.start("run", "trades", **JSON) as process:
        base = address(process)
        process.until(lambda: status(base)["messages"] == total, "everything is durable")
        process.until(lambda: ask(f"{base}/readyz")[0] == 200, "it is ready")

        open_to_all("false")
        process.until(lambda: ask(f"{base}/readyz")[0] == 503, "it is not ready")
        assert codes(base) == ["database"]
        assert ask(f"{base}/livez")[0] == 200, "a restart would mend nothing"
        assert ({"dataset": "trades", "service": "database"}, 0.0) in scraped(base)["sink_connected"]
        assert any(value > 0 for _, value in scraped(base)["sink_retries_total"])

        open_to_all("true")
        process.until(lambda: ask(f"{base}/readyz")[0] == 200, "it is ready again")
        process.until(lambda: status(base)["waiting_for"] is None, "nothing is waited for")
        process.signal(signal.SIGTERM)
        assert process.end() == 0, process.output


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_replica_beyond_the_partitions_is_ready(protocol: str, markets: Markets) -> None:
    market = markets.make(partitions=1)
    variables = {**JSON, "SINK_KAFKA__GROUP_PROTOCOL": protocol}
    with market.start("run", "trades", **variables) as first, market.start("run", "trades", **variables) as second:
        bases = [address(first), address(second)]
        second.until(lambda: all(ask(f"{base}/readyz")[0] == 200 for base in bases), "both are ready")
        assert sorted(len(status(base)["partitions"]) for base in bases) == [0, 1]
        idle = next(base for base in bases if not status(base)["partitions"])
        assert "sink_lag_messages" not in scraped(idle), "what is not ours is nobody's lag here"


def test_a_sink_that_waits_for_its_start_is_alive_and_says_what_it_waits_for(market: Market) -> None:
    with market.start("run", "trades", **JSON, SINK_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1") as process:
        base = address(process)
        process.until(lambda: "is the broker up" in ask(f"{base}/readyz")[1], "it says what it waits for")
        assert codes(base) == ["starting"]
        assert ask(f"{base}/livez")[0] == 200


@pytest.mark.parametrize("variables", [{"SINK_HTTP__ENABLED": "false"}, {}], ids=["off", "taken"])
def test_data_flows_without_the_port(variables: dict[str, str], market: Market) -> None:
    total = market.produce(simulate(PLAN))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = market.caught_up("trades", **JSON, SINK_HTTP__PORT=port, **variables)
        taken.settimeout(0)
        with pytest.raises(BlockingIOError):
            taken.accept()
    assert len(market.table("trades")) == total
    warned = [line for line in done.stderr.splitlines() if re.search("SINK_HTTP__PORT", line)]
    assert len(warned) == (0 if variables else 1)
