"""docs/schema.md does what it says: its snippet runs, and following "Add a dataset" adds one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from tests.fix_database import in_database, plain_engine, prepare_roles

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "schema.md"


def block(instruction: str) -> str:
    """Give the code block of the page that follows the comment with this instruction."""
    pattern = rf"<!-- {re.escape(instruction)} -->\n```\w+\n(.*?)```\n"
    [code] = re.findall(pattern, PAGE.read_text(), flags=re.DOTALL)
    return str(code)


def run(*command: str, cwd: Path, database: str) -> str:
    """Run a command of this Python as a user would, and give what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *command] if command[0] != "-c" else [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def as_role(database: str, role: str) -> str:
    url = make_url(database)
    assert url.database is not None
    return in_database(database, url.database, user=role).render_as_string(hide_password=False)


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """Copy the tracked files, as a clone would have them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((REPOSITORY / name).read_bytes())
    return tmp_path


def test_the_snippet_writes_and_reads_a_candle(writer_url: str, tmp_path: Path) -> None:
    printed = run("-c", block("run") + "\nprint(len(latest), latest[0].close)", cwd=tmp_path, database=writer_url)

    assert printed.split() == ["1", "64080.100000000000000000"]
    with plain_engine(writer_url).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM candles_1m")) == 1


def follow_the_page(tree: Path) -> None:
    """Apply the blocks of "Add a dataset" to a copy of the repository."""
    (tree / "schemas").mkdir(exist_ok=True)
    (tree / "schemas/liquidations.avsc").write_text(block("create schemas/liquidations.avsc"))
    models = tree / "sink/db/models.py"
    models.write_text(models.read_text() + block("append to sink/db/models.py"))
    datasets = tree / "sink/datasets.py"
    lines = datasets.read_text().splitlines(keepends=True)
    [funding] = [place for place, line in enumerate(lines) if 'name="funding"' in line]
    lines.insert(funding + 1, block('add to sink/datasets.py below name="funding"'))
    datasets.write_text("".join(lines))


def test_following_the_page_adds_a_dataset(database_url: str, copied_tree: Path) -> None:
    prepare_roles(make_url(database_url))  # settings of a role in a database are not cloned with it
    migrator = as_role(database_url, "sink_migrator")
    follow_the_page(copied_tree)

    for command in block("run in the shell").splitlines():
        name, *arguments = re.findall(r'"[^"]*"|\S+', command)
        run(name, *(argument.strip('"') for argument in arguments), cwd=copied_tree, database=migrator)

    registered = run("-c", "from sink.datasets import DATASETS; print(*DATASETS)", cwd=copied_tree, database=migrator)
    assert registered.split() == ["candles_1m", "trades", "oi_snapshots", "funding", "liquidations"]
    with plain_engine(as_role(database_url, "sink_writer")).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO liquidations (symbol, liquidated_ts, order_id, side, price, quantity)"
                " VALUES ('BTCUSDT', '2025-06-02 12:00+00', 1, 'sell', 64000.12, 0.5)"
            )
        )
        made = connection.execute(
            text(
                "SELECT column_name, time_interval::text FROM timescaledb_information.dimensions"
                " WHERE hypertable_name = 'liquidations'"
            )
        ).all()
        kept = connection.scalar(text("SELECT drop_after::text FROM sink.retention WHERE table_name = 'liquidations'"))
        rows = connection.execute(text("SELECT symbol, price, source_offset FROM liquidations")).all()
    assert [tuple(row) for row in made] == [("liquidated_ts", "7 days")]
    assert kept == "90 days"
    assert [(row.symbol, str(row.price), row.source_offset) for row in rows] == [
        ("BTCUSDT", "64000.120000000000000000", -1)
    ]
    run("alembic", "check", cwd=copied_tree, database=migrator)
