"""``sink check`` on a stack where all is well, and on one where much is wrong at once."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import make_url
from typer.testing import CliRunner, Result

from sink.avro.registry import Registry, RegistryAccess
from sink.avro.schemas import shipped_schema
from sink.cli import app
from sink.datasets import DATASETS
from sink.errors import DefinitionError
from tests.fix_sink import Market


def check(market: Market, *arguments: str, **variables: str) -> Result:
    return CliRunner(env=market.environment(variables)).invoke(app, ["check", *arguments])


def findings(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    return {(one["group"], one["subject"]): one for one in document["findings"]}


def failures(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    return {place: one for place, one in findings(document).items() if one["state"] == "failure"}


def test_where_all_is_well_nothing_fails(market: Market, registry_url: str) -> None:
    client = Registry(RegistryAccess(urls=(registry_url,)))
    for dataset in DATASETS:
        client.register(f"{market.topic(dataset)}-value", shipped_schema(dataset).text)
    client.close()
    done = check(market, "--json", SINK_REGISTRY__URL=registry_url)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    found = findings(document)
    # Debian's TimescaleDB is older than advised; nothing else may be told
    assert {place for place, one in found.items() if one["state"] != "ok"} <= {("database", "timescaledb")}
    assert document["failures"] == 0
    for dataset in DATASETS:
        for place in (
            ("kafka", f"topic {market.topic(dataset)}"),
            ("kafka", f"group {market.group}.{dataset}"),
            ("registry", f"subject {market.topic(dataset)}-value"),
            ("database", f"table {dataset}"),
            ("database", f"table {dataset}, retention"),
        ):
            assert found[place]["state"] == "ok"
    for subject in ("server", "clock", "durability", "migration", "grants", "TLS"):
        assert found["database", subject]["state"] == "ok"


def test_all_that_is_wrong_is_named_at_once_each_with_its_cure(market: Market) -> None:
    market.execute("REVOKE UPDATE ON trades FROM sink_writer")
    market.execute("ALTER TABLE funding DROP COLUMN source_offset")
    market.execute("ALTER TABLE oi_snapshots DROP CONSTRAINT pk_oi_snapshots")
    market.execute("UPDATE sink.retention SET drop_after = '3 days' WHERE table_name = 'trades'")
    market.execute("UPDATE alembic_version SET version_num = '9999'")
    market.execute("COMMENT ON TABLE alembic_version IS 'oldest code: 9999'")
    done = check(
        market,
        "--json",
        "--timeout",
        "3",
        SINK_TOPIC_PREFIX="nowhere.",
        SINK_REGISTRY__URL="http://127.0.0.1:1",
        SINK_STATEMENT_TIMEOUT="95",
    )
    assert isinstance(done.exception, DefinitionError), done.output
    assert str(done.exception).startswith("9 of "), done.output
    document = json.loads(done.stdout)
    failed = failures(document)
    assert failed["kafka", "topic nowhere.trades"]["cure"] == "create it with: sink topics apply"
    assert "127.0.0.1:1" in failed["registry", "registry"]["found"]
    assert "9999, which this version does not know" in failed["database", "migration"]["found"]
    assert "UPDATE on table public.trades to sink_writer" in failed["database", "grants"]["found"]
    assert "column source_offset is missing" in failed["database", "table funding"]["found"]
    assert "the primary key is (missing)" in failed["database", "table oi_snapshots"]["found"]
    found = findings(document)
    assert found["settings", "time-outs"]["state"] == "warning"
    if found["database", "table trades, retention"]["state"] != "ok":  # the community edition asks its own policy
        assert found["database", "table trades, retention"]["found"].startswith("3 days instead of 30 days")


def test_servers_that_are_away_are_all_named(market: Market) -> None:
    away = make_url(market.writer_url).set(port=1).render_as_string(hide_password=False)
    done = check(
        market,
        "trades",
        DATABASE_URL=away,
        SINK_KAFKA__BOOTSTRAP_SERVERS="no.such.host.invalid:9092",
        SINK_REGISTRY__URL="http://127.0.0.1:1",
    )
    assert isinstance(done.exception, DefinitionError)
    told = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert len(told) == 3, done.stdout
    assert "a host name of no.such.host.invalid:9092 is unknown" in told[0]
    assert "the schema registry cannot be asked" in told[1]
    assert "no database server answers at 127.0.0.1:1" in told[2]


def test_warnings_fail_only_if_that_is_asked_for(market: Market) -> None:
    done = check(market, "trades", "--strict", DATABASE_URL=market.administrator_url)  # a superuser is a warning
    assert isinstance(done.exception, DefinitionError)
    assert str(done.exception).startswith("0 of ")
    assert check(market, "trades", DATABASE_URL=market.administrator_url).exit_code == 0
