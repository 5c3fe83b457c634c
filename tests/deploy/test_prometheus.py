"""What deploy/ has for Prometheus and Grafana, judged by promtool and by a Prometheus that scrapes a real sink."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.prometheus import JOB, Prometheus, scraping
from sink.avro.registry import Registry, RegistryAccess
from sink.producing.simulator import Plan, simulate
from sink.stack.ports import LOOPBACK, choose
from tests.fix_sink import Market, wait_until
from tests.promql import RULE_TESTS, RULES, rules, selectors, shown

SCRAPE = 0.5
"""Seconds between two scrapes."""
PATIENCE = 90.0
"""Seconds after which what has told nothing is taken to be silent; storage is looked at once a minute."""


def promtool(*arguments: str | Path) -> str:
    """Run promtool, which must be content; give what it says."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=RULES.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_rules_and_configuration() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", RULES)
    promtool("check", "config", RULES.parent / "prometheus.yml")


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda path: path.name)
def test_each_alert_fires_and_keeps_quiet_as_its_tests_say(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", file)


def load(market: Market) -> None:
    """Produce an hour of a market that ends now, by a registered schema, and a message that cannot be a row."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    hour = timedelta(hours=1)
    plan = Plan(start=now - hour, duration=hour, trades=500, funding_interval=hour)
    registry = Registry(RegistryAccess(urls=(market.servers.registry_url,), timeout=20))
    with closing(registry), market.producer(registry) as producer:
        producer.produce_many(simulate(plan))
    market.send("trades", [b"rubbish"])


def silent(prometheus: Prometheus, expressions: Iterable[str]) -> set[str]:
    """Give the expressions that have no number to show."""
    return {expr for expr in expressions if not any(series.points for series in prometheus.now(expr))}


def asked() -> set[str]:
    """Give all that dashboards and rules ask; of an alert, which mostly has nothing to show, the series it looks at."""
    found = {query.expr for query in shown(job=JOB, dataset="trades")}
    for rule in rules():
        found |= {rule["expr"]} if "record" in rule else selectors(rule["expr"])
    return found


def test_every_query_of_dashboards_and_rules_has_an_answer_from_a_running_sink(market: Market, tmp_path: Path) -> None:
    port = choose(tmp_path, "sink")
    settings = {"SINK_REGISTRY__URL": market.servers.registry_url, "SINK_HTTP__PORT": str(port)}
    settings |= {"SINK_HTTP__ENABLED": "true", "SINK_HTTP__HOST": LOOPBACK, "SINK_HOUSEKEEPING__EVERY": "2"}
    load(market)
    with (
        market.start("run", **settings) as sink,
        scraping([f"{LOOPBACK}:{port}"], directory=tmp_path / "prometheus", every=SCRAPE) as prometheus,
    ):
        sink.until(lambda: bool(market.durable()), "something is durable")
        # a flush that the database breaks off is tried again, under a SQLSTATE
        market.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'sink %'"
        )
        left = asked()
        assert len(left) > 80

        def all_have_answered() -> bool:
            nonlocal left
            load(market)  # only what comes while Prometheus scrapes has a rate
            left = silent(prometheus, left)
            return not left

        try:
            wait_until(all_have_answered, "every query has an answer", seconds=PATIENCE)
        except AssertionError:
            pytest.fail("nothing was ever told of:\n" + "\n".join(sorted(left)))
        assert prometheus.failing_rules() == []
