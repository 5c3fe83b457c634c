"""``sink demo`` as a process on real servers: everything arrives, and a second run changes nothing."""

from __future__ import annotations

import json
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.pool import NullPool

from sink.cli.demo import MINUTES, TRADES
from sink.datasets import DATASETS
from sink.db.models import table_of
from sink.producing.dumps import identify, read
from sink.producing.samples import sample_files
from tests.process import run

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def _own_names(bootstrap_servers: str, registry_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the demo to the session's servers, with topics and groups of its own."""
    name = uuid.uuid4().hex
    monkeypatch.setenv("SINK_KAFKA__BOOTSTRAP_SERVERS", bootstrap_servers)
    monkeypatch.setenv("SINK_REGISTRY__URL", registry_url)
    monkeypatch.setenv("SINK_TOPIC_PREFIX", f"demo-{name}.")
    monkeypatch.setenv("SINK_GROUP_PREFIX", f"demo-{name}")


def demo(*arguments: str, database_url: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = ("sink", "demo", "--no-stack", *arguments)
    return run(command, database_url=database_url, directory=directory, timeout=240)


def contract_rows(url: str) -> Rows:
    """Read every dataset whole, by its key."""
    found: Rows = {}
    with create_engine(url, poolclass=NullPool).connect() as connection:
        for name, dataset in DATASETS.items():
            columns = table_of(dataset.model).columns
            query = select(*(columns[column] for column in dataset.columns)).order_by(
                *(columns[column] for column in dataset.key)
            )
            found[name] = [tuple(row) for row in connection.execute(query)]
    return found


def durable(url: str) -> int:
    """Count the messages that the positions have passed."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return int(connection.scalar(text("SELECT sum(next_offset) FROM sink.positions")) or 0)


def test_everything_arrives_and_a_second_run_changes_no_row(empty_database_url: str, tmp_path: Path) -> None:
    # hours ago, so that a run which took the present instead would make other rows
    anchor = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=5)
    (tmp_path / ".stack").mkdir()
    (tmp_path / ".stack/demo.json").write_text(json.dumps({"anchor": anchor.isoformat()}))
    first = demo("--json", database_url=empty_database_url, directory=tmp_path)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["anchor"] == anchor.isoformat()
    assert told["sink"]["messages"] == told["produced"]["messages"] == durable(empty_database_url)
    assert (told["sink"]["quarantined"], set(told["lag"].values())) == (0, {0})

    rows = {(table["table"], table["symbol"]): table["rows"] for table in told["tables"]}
    for path in sample_files():
        dump = identify(path)
        assert rows.pop((dump.kind.dataset, dump.symbol)) == sum(1 for _ in read(dump))
    assert rows.pop(("trades", "BTCUSDT")) + rows.pop(("trades", "ETHUSDT")) == TRADES
    simulated = {"candles_1m": MINUTES, "oi_snapshots": MINUTES // 5, "funding": MINUTES // 10}
    assert rows == {(name, symbol): count for name, count in simulated.items() for symbol in ("BTCUSDT", "ETHUSDT")}

    before = contract_rows(empty_database_url)
    second = demo(database_url=empty_database_url, directory=tmp_path)
    assert second.returncode == 0, second.stderr
    assert durable(empty_database_url) == 2 * told["produced"]["messages"]
    assert contract_rows(empty_database_url) == before
    assert all(character.isprintable() or character == "\n" for character in second.stdout)
    assert "lag       0 messages" in [line.rstrip() for line in second.stdout.splitlines()]


def test_a_failed_step_ends_with_a_sentence_and_its_code(tmp_path: Path) -> None:
    nowhere = "postgresql+psycopg://postgres:hunter2@127.0.0.1:1/ingestion"
    ended = demo(database_url=nowhere, directory=tmp_path)
    assert ended.returncode == 3
    assert ended.stderr.startswith("error: no database server answers at 127.0.0.1:1")
    assert "hunter2" not in ended.stdout + ended.stderr
